import { VCPU_STATE } from '../generated/state-kinds.ts';
import { armVcpuEvents, type ArmVcpuEvents } from '../generated/structs.ts';
import { only } from '../internal/architecture.ts';
import {
  bytes as checkBytes,
  elements,
  integer,
  object,
  options as checkOptions,
  u64,
} from '../internal/check.ts';
import { KEY } from '../internal/illegal.ts';
import { vcpuOfArm64 } from '../internal/native-arm64.ts';
import { readOneReg, writeOneReg } from '../internal/one-reg.ts';
import { decode, preparePatch, type Patch } from '../internal/structs.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';
import { makeArmRegisters, type ArmRegisters } from './arm-registers.ts';
import { FEATURES, featureWords, type ArmVcpuInit } from './arm-features.ts';
import { VcpuX86 } from './vcpu-x86.ts';

export type { ArmVcpuEvents };

/** The state of a vCPU that only aarch64 has. `Vcpu` is made of it; elsewhere its methods throw `ERR_KVM_UNSUPPORTED`. */
export abstract class VcpuArm64 extends VcpuX86 {
  readonly #access: VcpuAccess;
  #registers: ArmRegisters | undefined;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    super(key, access);
    this.#access = access;
  }

  /**
   * The live registers of an aarch64 vCPU by their names: `x0` to `x30`, `sp`, `pc`, `pstate`, `v0` to `v31` and others.
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, where `regs` has the registers; as {@link getOneReg}
   */
  get armRegs(): ArmRegisters {
    only('arm64', 'Vcpu.armRegs');
    return (this.#registers ??= makeArmRegisters(KEY, {
      read: (id) => readOneReg(this.#access, id),
      write: (id, name, value, width) => writeOneReg(this.#access, id, name, value, width),
    }));
  }

  /**
   * Makes the vCPU a processor, in its reset state (`KVM_ARM_VCPU_INIT`). Every vCPU needs it before anything else; again
   * means a reset, with the same features.
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for what the host cannot be; `ERR_KVM_UNSUPPORTED` on x86_64; `ERR_KVM_BUSY`,
   * `ERR_KVM_CLOSED`
   */
  vcpuInit(init: ArmVcpuInit): void {
    only('arm64', 'KVM_ARM_VCPU_INIT');
    this.#access.checkState();
    const given = checkOptions('init', init, ['target', 'features']);
    const target = integer('init.target', given.target, 0, 0xffff_ffff);
    const list = elements('init.features', given.features, FEATURES);
    const features = list.map((one, at) => integer(`init.features[${at}]`, one, 0, FEATURES - 1));
    this.#access.change(() => vcpuOfArm64(this.#access.native).init(target, featureWords(features)));
  }

  /**
   * Says that a feature's registers have their final values (`KVM_ARM_VCPU_FINALIZE`): SVE's vector lengths.
   *
   * @param feature - A number of {@link ArmVcpuFeature}.
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  vcpuFinalize(feature: number): void {
    only('arm64', 'KVM_ARM_VCPU_FINALIZE');
    this.#access.checkState();
    const number = integer('feature', feature, 0, FEATURES - 1);
    this.#access.change(() => vcpuOfArm64(this.#access.native).finalize(number));
  }

  /**
   * The ids of all registers that the vCPU has (`KVM_GET_REG_LIST`): what makes up its state.
   *
   * @throws `ERR_KVM_IOCTL` with `ENOEXEC` before {@link vcpuInit}; `ERR_KVM_UNSUPPORTED` on x86_64; `ERR_KVM_BUSY`,
   * `ERR_KVM_CLOSED`
   */
  getRegList(): bigint[] {
    only('arm64', 'KVM_GET_REG_LIST');
    this.#access.checkState();
    return Array.from(
      new BigUint64Array(Uint32Array.from(vcpuOfArm64(this.#access.native).regList()).buffer),
    );
  }

  /** Exceptions that wait to be delivered (`KVM_GET_VCPU_EVENTS`). @throws `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getArmVcpuEvents(): ArmVcpuEvents {
    only('arm64', 'Vcpu.getArmVcpuEvents()');
    this.#access.checkState();
    const target = new Uint8Array(armVcpuEvents.size);
    this.#access.native.getState(VCPU_STATE.events, target);
    return decode(armVcpuEvents, target);
  }

  /** Injects a system error or an external abort (`KVM_SET_VCPU_EVENTS`); what is left out stays. @throws As {@link getArmVcpuEvents}. */
  setArmVcpuEvents(events: Patch<ArmVcpuEvents>): void {
    only('arm64', 'Vcpu.setArmVcpuEvents()');
    this.#access.checkState();
    const patch = preparePatch(armVcpuEvents, object('events', events) as Patch<ArmVcpuEvents>, 'events');
    this.#access.change(() => {
      const target = new Uint8Array(armVcpuEvents.size);
      this.#access.native.getState(VCPU_STATE.events, target);
      patch(new DataView(target.buffer));
      this.#access.native.setState(VCPU_STATE.events, target);
    });
  }

  /**
   * Whether the vCPU has an attribute (`KVM_HAS_DEVICE_ATTR`): the PMU's, the timer's, stolen time's.
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  hasDeviceAttr(group: number, attribute: number | bigint): boolean {
    only('arm64', 'KVM_HAS_DEVICE_ATTR on a vCPU');
    this.#access.checkState();
    return vcpuOfArm64(this.#access.native).hasDeviceAttr(
      integer('group', group, 0, 0xffff_ffff),
      u64('attribute', attribute),
    );
  }

  /**
   * Sets an attribute of the vCPU (`KVM_SET_DEVICE_ATTR`).
   *
   * @param value - Its bytes, as many as the attribute has; left out for one that has none.
   * @throws `ERR_KVM_NO_ATTRIBUTE` for one that the vCPU does not have; `ERR_KVM_STATE` for more than 4096 bytes;
   * `ERR_KVM_IOCTL` when KVM refuses the value; `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  setDeviceAttr(group: number, attribute: number | bigint, value?: ArrayBufferView | ArrayBufferLike): void {
    only('arm64', 'KVM_SET_DEVICE_ATTR on a vCPU');
    this.#access.checkState();
    const number = integer('group', group, 0, 0xffff_ffff);
    const which = u64('attribute', attribute);
    const copy = value === undefined ? new Uint8Array() : Uint8Array.from(checkBytes('value', value));
    this.#access.change(() => vcpuOfArm64(this.#access.native).setDeviceAttr(number, which, copy));
  }
}
