/**
 * Virtual machines as ordinary JavaScript values: a KVM guest runs inside the Node process.
 *
 * @packageDocumentation
 */
export { ArmVcpuFeature, type ArmVcpuInit } from './lib/kvm/arm-features.ts';
export {
  ArmSystemRegister,
  armSystemRegister,
  type ArmRegisterName,
  type ArmRegisters,
} from './lib/kvm/arm-registers.ts';
export { Cap } from './lib/generated/capabilities.ts';
export { ERROR_CODES, type KvmErrorCode } from './lib/generated/error-codes.ts';
export {
  DEVICE_TYPE,
  GUEST_DEBUG,
  MEMORY_ATTRIBUTE,
  MP_STATE,
  MSR_EXIT_REASON,
  VCPU_EVENT,
} from './lib/generated/flags.ts';
export type {
  KvmDtable as DescriptorTable,
  KvmPitChannelState as PitChannelState,
  KvmSegment as Segment,
  KvmVcpuEventsException as EventsException,
  KvmVcpuEventsInterrupt as EventsInterrupt,
  KvmVcpuEventsNmi as EventsNmi,
  KvmVcpuEventsSmi as EventsSmi,
  KvmVcpuEventsTripleFault as EventsTripleFault,
  KvmXcr as Xcr,
} from './lib/generated/struct-types.ts';
export type { Device, DeviceState } from './lib/devices/device.ts';
export { KvmError } from './lib/internal/errors.ts';
export type { Patch } from './lib/internal/structs.ts';
export { BinaryStats, type StatDescriptor, type StatType, type StatUnit } from './lib/kvm/binary-stats.ts';
export { Attachment, Bus, type AttachOptions, type PostedRange, type Range } from './lib/kvm/bus.ts';
export type { CpuidEntry, CpuidRegisters } from './lib/kvm/cpuid-entry.ts';
export { CPUID_FEATURES, type CpuidFeature, type CpuidFeaturePlace } from './lib/kvm/cpuid-features.ts';
export { CpuidLeaf } from './lib/kvm/cpuid-leaf.ts';
export { CpuidTable, type CpuidSource } from './lib/kvm/cpuid-table.ts';
export { EventFd } from './lib/kvm/event-fd.ts';
export type * from './lib/kvm/exits.ts';
export type {
  AllHandlers,
  AsyncHandlers,
  HandlerResult,
  Handlers,
  Interruption,
  RunResult,
} from './lib/kvm/handlers.ts';
export { GuestMemfd } from './lib/kvm/guest-memfd.ts';
export {
  pcGsiRoutes,
  type GsiRoute,
  type HvSintRoute,
  type IrqchipRoute,
  type MsiRoute,
} from './lib/kvm/gsi-routing.ts';
export { KickHandle, type KickToken, type VcpuToken } from './lib/kvm/kick.ts';
export { KvmDevice } from './lib/kvm/device.ts';
export { Kvm } from './lib/kvm/kvm.ts';
export { MemoryRegion, type RegionPlace } from './lib/kvm/memory-region.ts';
export { GuestMemory, type Backing, type MapOptions } from './lib/kvm/memory.ts';
export { Msr } from './lib/kvm/msr-index.ts';
export { msrName } from './lib/kvm/msr-name.ts';
export { denyMsrs, type MsrFilter, type MsrFilterRange } from './lib/kvm/msr-filter.ts';
export type { MsrEntry } from './lib/kvm/msr.ts';
export type { RegisterName, RegisterView, Regs } from './lib/kvm/registers.ts';
export {
  AcpiPower,
  BootTimer,
  Cmos,
  DebugConsole,
  DebugExit,
  I8042,
  Pl031,
  PvPanic,
  RustDevice,
  Serial,
  type DeviceRequest,
  type OutputListener,
} from './lib/kvm/rust-devices.ts';
export type { VcpuStats } from './lib/kvm/stats.ts';
export type {
  BackgroundOptions,
  RunOptions,
  SlicedOptions,
  StepInterruption,
} from './lib/kvm/run-options.ts';
export { Vcpu } from './lib/kvm/vcpu.ts';
export type { ArmVcpuEvents } from './lib/kvm/vcpu-arm64.ts';
export type { GvaTranslation, VcpuEvents } from './lib/kvm/vcpu-x86-events.ts';
export type { DebugRegs, Fpu, Sregs2, Xcrs } from './lib/kvm/vcpu-x86-extended.ts';
export type { Sregs } from './lib/kvm/vcpu-x86.ts';
export type { ClearDirtyLogOptions, DirtyPages, DirtyRingOptions } from './lib/kvm/vm-dirty.ts';
export type { IoEventAddress, IoEventOptions, Msi } from './lib/kvm/vm-interrupts.ts';
export type { MemoryAttributes } from './lib/kvm/vm-devices.ts';
export type { SevAnswer, SevCommand, SevPointer, UserSpaceMsr } from './lib/kvm/vm-x86-features.ts';
export type { ClockData, Pit2State } from './lib/kvm/vm-x86.ts';
export { Vm } from './lib/kvm/vm.ts';
export type { X86DisabledExit, X86Options, X86Quirk } from './lib/kvm/x86-options.ts';
export type { Placed } from './lib/machine/board.ts';
export type {
  AcpiDescription,
  BootModule,
  BootProtocol,
  DeviceTreeDescription,
  FlatImage,
  MachineConfig,
  MachineDevice,
} from './lib/machine/config.ts';
export { MachineConsole } from './lib/machine/console.ts';
export type { MachineEnd, MachineExit } from './lib/machine/exit.ts';
export { InterruptLine } from './lib/machine/interrupt-line.ts';
export { Machine, type MachineEvents, type MachineState } from './lib/machine/machine.ts';
export type { ByteSize } from './lib/machine/size.ts';
export type { ImageSource } from './lib/machine/source.ts';
