// The methods of Kvm, VmFd and DeviceFd: what offers each, and the test that makes it on a real KVM.
/** @typedef {import('./row.mjs').Rows} Rows */

/** @type {Rows} */
export const kvm = {
  new: { ts: 'new Kvm', test: 'kvm/kvm.test.ts › the API has version 12' },
  new_with_path: { ts: 'new Kvm({ path })', test: 'kvm/kvm.test.ts › no device is ERR_KVM_UNAVAILABLE' },
  open_with_cloexec: {
    ts: 'new Kvm({ closeOnExec })',
    note: 'the descriptor is `fd`',
    test: 'kvm/raw-fd.test.ts › programs that this process starts have KVM only when they should',
  },
  open_with_cloexec_at: {
    ts: 'new Kvm({ path, closeOnExec })',
    note: 'the descriptor is `fd`',
    test: 'kvm/raw-fd.test.ts › programs that this process starts have KVM only when they should',
  },
  get_api_version: { ts: 'Kvm.apiVersion', test: 'kvm/kvm.test.ts › the API has version 12' },
  get_host_ipa_limit: {
    test: 'aarch64/memory.test.ts › a machine has as many bits of address as its type says, up to what the host has',
  },
  get_guest_debug_hw_bps: { test: 'aarch64/debug.test.ts › as many breakpoints as the host has' },
  get_guest_debug_hw_wps: { test: 'aarch64/debug.test.ts › as many breakpoints as the host has' },
  check_extension_raw: {
    ts: 'Kvm.checkExtensionInt',
    note: 'takes any number',
    test: 'kvm/kvm.test.ts › a capability is there or not, or has a value',
  },
  check_extension_int: { test: 'kvm/kvm.test.ts › a capability is there or not, or has a value' },
  check_extension: { test: 'kvm/kvm.test.ts › a capability is there or not, or has a value' },
  get_vcpu_mmap_size: { test: 'kvm/kvm.test.ts › limits are those of a usable host' },
  get_nr_vcpus: { test: 'kvm/kvm.test.ts › limits are those of a usable host' },
  get_nr_memslots: { test: 'kvm/kvm.test.ts › limits are those of a usable host' },
  get_max_vcpus: { test: 'kvm/kvm.test.ts › limits are those of a usable host' },
  get_max_vcpu_id: { test: 'kvm/kvm.test.ts › limits are those of a usable host' },
  get_emulated_cpuid: { test: 'kvm/kvm-x86.test.ts › the emulated CPUID is a list' },
  get_supported_cpuid: { test: 'kvm/kvm-x86.test.ts › the supported CPUID begins with leaf 0' },
  get_msr_index_list: {
    test: 'kvm/kvm-x86.test.ts › the lists of MSRs have the time stamp counter, and features',
  },
  get_msr_feature_index_list: {
    test: 'kvm/kvm-x86.test.ts › the lists of MSRs have the time stamp counter, and features',
  },
  get_msrs: { test: 'kvm/kvm-x86.test.ts › feature MSRs come in the order asked for' },
  create_vm: { ioctl: 'KVM_CREATE_VM', test: 'kvm/vm.test.ts › vCPUs get the next id, or the one asked for' },
  create_vm_with_ipa_size: {
    ts: 'Kvm.createVm({ type })',
    note: 'the type is the number of bits',
    ioctl: 'KVM_CREATE_VM',
    test: 'aarch64/memory.test.ts › a machine has as many bits of address as its type says, up to what the host has',
  },
  create_vm_with_type: {
    ts: 'Kvm.createVm({ type })',
    ioctl: 'KVM_CREATE_VM',
    test: 'kvm/kvm.test.ts › a machine of a type that does not exist is refused',
  },
  create_vmfd_from_rawfd: {
    ts: 'Kvm.createVmFromRawFd',
    note: 'a descriptor of something else is refused',
    test: 'kvm/raw-fd.test.ts › a machine taken by its descriptor is the same machine',
  },
};

/** @type {Rows} */
export const vm = {
  set_user_memory_region: {
    ts: 'GuestMemory.map',
    note: 'and `MemoryRegion.unmap`',
    test: [
      'kvm/memory.test.ts › regions are listed by address, and slots are the lowest free ones',
      "kvm/memory.test.ts › ${backing} memory, ${shared ? 'shared' : 'private'}, is zero at first and holds a guest",
    ],
  },
  set_user_memory_region2: {
    ts: 'GuestMemory.map({ guestMemfd })',
    words: ['guestMemfd'],
    test: 'kvm/private-memory.test.ts › private memory is the other side of a region, and the guest runs on the shared one',
  },
  set_tss_address: { test: 'kvm/vm-x86.test.ts › addresses for Intel hosts are taken' },
  set_identity_map_address: { test: 'kvm/vm-x86.test.ts › addresses for Intel hosts are taken' },
  create_irq_chip: {
    test: [
      'kvm/vm-x86.test.ts › the interrupt controllers are made once, and needed for the rest',
      'aarch64/interrupts.test.ts › a GICv2 is there where the host has one, by both of its names',
    ],
  },
  get_irqchip: {
    test: 'kvm/vm-x86.test.ts › interrupt controller ${chip} gives its state and takes it back',
  },
  set_irqchip: {
    test: 'kvm/vm-x86.test.ts › interrupt controller ${chip} gives its state and takes it back',
  },
  create_pit2: { test: 'kvm/vm-x86.test.ts › the timer needs interrupt controllers' },
  get_pit2: { test: 'kvm/vm-x86.test.ts › the timer gives its state and takes a part of it' },
  set_pit2: { test: 'kvm/vm-x86.test.ts › the timer gives its state and takes a part of it' },
  get_clock: { test: 'kvm/vm-x86.test.ts › the clock can be set, and runs' },
  set_clock: { test: 'kvm/vm-x86.test.ts › the clock can be set, and runs' },
  set_msr_filter_unchecked: {
    ts: 'Vm.setMsrFilter',
    note: 'bitmaps are checked',
    test: 'kvm/msr-filter.test.ts › the largest range is 12288 MSRs',
  },
  set_msr_filter: { test: 'kvm/msr-filter.test.ts › an MSR that the filter denies comes to the handlers' },
  signal_msi: {
    test: [
      'kvm/vm-x86.test.ts › an interrupt message reaches a local APIC that is on, and no other',
      'aarch64/interrupts.test.ts › a message of a device becomes the interrupt that the guest has mapped it to',
    ],
  },
  set_gsi_routing: { test: 'kvm/routing.test.ts › a line leads where its route says' },
  register_ioevent: {
    test: [
      'kvm/vm.test.ts › an ioeventfd takes writes of any size without an exit',
      'kvm/vm-x86.test.ts › an ioeventfd at a port takes writes of any size without an exit',
    ],
  },
  unregister_ioevent: { test: 'kvm/vm.test.ts › an ioeventfd that is unregistered takes nothing' },
  get_dirty_log: {
    words: ['getDirtyLog', 'dirtyPages'],
    test: [
      'kvm/vm.test.ts › the dirty log has one bit a page and is cleared by reading',
      'kvm/dirty-pages.test.ts › the guest makes pages dirty where they are logged',
    ],
  },
  register_irqfd: {
    test: [
      'kvm/vm-x86.test.ts › an irqfd wakes the guest; unregistered, it does not',
      'aarch64/interrupts.test.ts › an event is an interrupt',
    ],
  },
  register_irqfd_with_resample: {
    ts: 'Vm.registerIrqfd',
    note: 'the third argument',
    test: [
      'kvm/vcpu-extras.test.ts › a level-triggered interrupt goes round: raised, taken, ended, resampled, raised again',
      'aarch64/interrupts.test.ts › the end of a level-triggered interrupt is an event',
    ],
  },
  unregister_irqfd: { test: 'kvm/vm-x86.test.ts › an irqfd wakes the guest; unregistered, it does not' },
  set_irq_line: {
    test: [
      'kvm/vm-x86.test.ts › an interrupt line raises a request in the first PIC',
      'aarch64/interrupts.test.ts › ${name}: a line that rises is an interrupt, which the guest takes',
    ],
  },
  create_vcpu: { test: 'kvm/vm.test.ts › vCPUs get the next id, or the one asked for' },
  create_vcpu_from_rawfd: {
    ts: 'Vm.createVcpuFromRawFd',
    note: 'a descriptor of something else is refused',
    test: 'kvm/raw-fd.test.ts › a vCPU taken by its descriptor is the same vCPU',
  },
  create_device: {
    test: [
      'kvm/device.test.ts › a device has the attributes that it has',
      'aarch64/interrupts.test.ts › a GICv3 is made in steps, and refuses what is out of order',
    ],
  },
  get_preferred_target: { test: 'aarch64/features.test.ts › the host says which processor it can be' },
  enable_cap: { test: 'kvm/vm.test.ts › a capability that cannot be enabled is ERR_KVM_UNSUPPORTED' },
  run_size: {
    ioctl: 'KVM_GET_VCPU_MMAP_SIZE',
    test: "kvm/raw-fd.test.ts › the size of a vCPU's mapping is the system's",
  },
  check_extension_int: { test: 'kvm/vm.test.ts › capabilities of the machine are asked of the machine' },
  check_extension_raw: {
    ts: 'Vm.checkExtensionInt',
    note: 'takes any number',
    test: 'kvm/vm.test.ts › capabilities of the machine are asked of the machine',
  },
  check_extension: { test: 'kvm/vm.test.ts › capabilities of the machine are asked of the machine' },
  create_guest_memfd: {
    test: 'kvm/private-memory.test.ts › private memory is the other side of a region, and the guest runs on the shared one',
  },
  set_memory_attributes: {
    test: 'kvm/private-memory.test.ts › memory attributes are refused where the host has none',
  },
  encrypt_op: {
    test: 'kvm/private-memory.test.ts › commands for encrypted machines are refused where the host does not encrypt',
  },
  encrypt_op_sev: {
    test: 'kvm/private-memory.test.ts › commands for encrypted machines are refused where the host does not encrypt',
  },
  register_enc_memory_region: {
    test: 'kvm/private-memory.test.ts › addresses of commands for encrypted machines are those of guest memory, and no others',
  },
  unregister_enc_memory_region: {
    test: 'kvm/private-memory.test.ts › addresses of commands for encrypted machines are those of guest memory, and no others',
  },
  register_coalesced_mmio: {
    ts: 'Bus.attach({ posted })',
    note: 'a zone belongs to a device',
    words: ['posted'],
    test: 'kvm/posted.test.ts › ${name}: posted memory writes keep offset and size',
  },
  unregister_coalesced_mmio: {
    ts: 'Attachment.detach',
    note: 'a zone goes with its device',
    words: ['posted'],
    test: 'kvm/posted.test.ts › after a detach the writes are exits again',
  },
  set_device_attr: {
    test: 'aarch64/psci.test.ts › attributes that a machine does not have are told from those that it has',
  },
  has_device_attr: {
    test: 'aarch64/psci.test.ts › attributes that a machine does not have are told from those that it has',
  },
};

/** @type {Rows} */
export const device = {
  has_device_attr: { test: 'kvm/device.test.ts › a device has the attributes that it has' },
  set_device_attr: {
    test: [
      'kvm/device.test.ts › an attribute that does not exist has its own error',
      'aarch64/interrupts.test.ts › a GICv3 is made in steps, and refuses what is out of order',
    ],
  },
  get_device_attr: {
    test: [
      'kvm/device.test.ts › a device has the attributes that it has',
      'aarch64/interrupts.test.ts › a GICv3 is made in steps, and refuses what is out of order',
    ],
  },
};
