import { boolean, elements, integer, options as checkOptions, u64 } from '../internal/check.ts';
import { checkKey } from '../internal/illegal.ts';
import { readOneReg, writeOneReg } from '../internal/one-reg.ts';
import type { VcpuAccess } from '../internal/vcpu-access.ts';

/** Most that a processor has; on aarch64 the host may have fewer. */
const BREAKPOINTS = process.arch === 'arm64' ? 16 : 4;

/** The state of a vCPU that every architecture has. `Vcpu` is made of it. */
export abstract class VcpuState {
  readonly #access: VcpuAccess;

  /** @internal */
  constructor(key: symbol, access: VcpuAccess) {
    checkKey(key);
    this.#access = access;
  }

  /** The number of the vCPU's descriptor, for use with other interfaces of the kernel or `vm.createVcpuFromRawFd()`. @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  get fd(): number {
    this.#access.checkState();
    return this.#access.native.fd();
  }

  /** What the vCPU waits for, `KVM_MP_STATE_*` (`KVM_GET_MP_STATE`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getMpState(): number {
    this.#access.checkState();
    return this.#access.native.getMpState();
  }

  /** Sets what the vCPU waits for (`KVM_SET_MP_STATE`). @throws As {@link getMpState}. */
  setMpState(state: number): void {
    this.#access.checkState();
    const value = integer('state', state, 0, 0xffff_ffff);
    this.#access.change(() => this.#access.native.setMpState(value));
  }

  /**
   * Single step and hardware breakpoints: the guest stops with `debug` exits, on aarch64 with `armDebug`
   * (`KVM_SET_GUEST_DEBUG`).
   *
   * @param options - `hardwareBreakpoints`: up to four linear addresses; on aarch64 as many as
   *   `kvm.getGuestDebugHwBps()` says. Both off by default.
   * @example
   * ```ts
   * vcpu.setGuestDebug({ singleStep: true });
   * const exit = vcpu.step();
   * if (exit.kind === 'debug') console.log(exit.pc);
   * ```
   * @throws `ERR_KVM_UNSUPPORTED` for more breakpoints than the host's processor has; `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`,
   * `ERR_KVM_CLOSED`
   */
  setGuestDebug(options?: {
    singleStep?: boolean;
    hardwareBreakpoints?: readonly (number | bigint)[];
  }): void {
    this.#access.checkState();
    const given = checkOptions('options', options, ['singleStep', 'hardwareBreakpoints']);
    const step = boolean('options.singleStep', given.singleStep ?? false);
    const list = elements('options.hardwareBreakpoints', given.hardwareBreakpoints ?? [], BREAKPOINTS);
    const addresses = list.map((at, index) => u64(`options.hardwareBreakpoints[${index}]`, at));
    this.#access.change(() => this.#access.native.setGuestDebug(step, addresses));
  }

  /**
   * One register, by its id (`KVM_GET_ONE_REG`): on aarch64 all registers are reached so, on x86_64 few hosts have any.
   *
   * @param id - `KVM_REG_…`; its size is part of it. {@link ArmSystemRegister} and `armSystemRegister()` make them.
   * @returns As many bits as the register has, 8 to 2048.
   * @throws `ERR_KVM_IOCTL` with `ENOENT` for a register that does not exist; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getOneReg(id: bigint): bigint {
    return readOneReg(this.#access, u64('id', id));
  }

  /**
   * Sets one register, by its id (`KVM_SET_ONE_REG`).
   *
   * @param value - No more bits than the register has.
   * @throws `ERR_OUT_OF_RANGE` for a value that is too wide; else as {@link getOneReg}
   */
  setOneReg(id: bigint, value: number | bigint): void {
    writeOneReg(this.#access, u64('id', id), 'value', value);
  }
}
