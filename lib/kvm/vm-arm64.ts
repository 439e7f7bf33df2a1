import { only } from '../internal/architecture.ts';
import { bytes as checkBytes, integer, u64 } from '../internal/check.ts';
import { vmOfArm64 } from '../internal/native-arm64.ts';
import type { NativeVm } from '../internal/native.ts';
import { featureNumbers, type ArmVcpuInit } from './arm-features.ts';
import { VmX86 } from './vm-x86.ts';

/** What only machines of aarch64 have. `Vm` is made of it; elsewhere its methods throw `ERR_KVM_UNSUPPORTED`. */
export abstract class VmArm64 extends VmX86 {
  readonly #native: NativeVm;

  /** @internal */
  constructor(key: symbol, nativeVm: NativeVm) {
    super(key, nativeVm);
    this.#native = nativeVm;
  }

  /**
   * Which processor runs best on this host (`KVM_ARM_PREFERRED_TARGET`): what `Vcpu.vcpuInit()` takes.
   *
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_CLOSED`
   */
  getPreferredTarget(): ArmVcpuInit {
    only('arm64', 'KVM_ARM_PREFERRED_TARGET');
    const [target, ...words] = vmOfArm64(this.#native).preferredTarget();
    return { target: target!, features: featureNumbers(words) };
  }

  /**
   * Whether the machine has an attribute (`KVM_HAS_DEVICE_ATTR`): the filter of SMC calls, for one.
   *
   * @throws `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_CLOSED`
   */
  hasDeviceAttr(group: number, attribute: number | bigint): boolean {
    only('arm64', 'KVM_HAS_DEVICE_ATTR on a machine');
    return vmOfArm64(this.#native).hasDeviceAttr(
      integer('group', group, 0, 0xffff_ffff),
      u64('attribute', attribute),
    );
  }

  /**
   * Sets an attribute of the machine (`KVM_SET_DEVICE_ATTR`).
   *
   * @param value - Its bytes, as many as the attribute has; left out for one that has none.
   * @throws `ERR_KVM_NO_ATTRIBUTE` for one that the machine does not have; `ERR_KVM_STATE` for more than 4096 bytes;
   * `ERR_KVM_IOCTL` when KVM refuses the value; `ERR_KVM_UNSUPPORTED` on x86_64, `ERR_KVM_CLOSED`
   */
  setDeviceAttr(group: number, attribute: number | bigint, value?: ArrayBufferView | ArrayBufferLike): void {
    only('arm64', 'KVM_SET_DEVICE_ATTR on a machine');
    vmOfArm64(this.#native).setDeviceAttr(
      integer('group', group, 0, 0xffff_ffff),
      u64('attribute', attribute),
      value === undefined ? new Uint8Array() : checkBytes('value', value),
    );
  }
}
