/** What members take that deal with aarch64; on x86_64 they refuse everything, with a typed error. */
import * as fc from 'fast-check';
import { ArmVcpuFeature, armSystemRegister } from 'vmhatch';
import { data, u32, u64 } from './basics.ts';
import { listOf, oneOf, plain, values, type Recipe } from './recipe.ts';
import { fields } from './record.ts';

type Args = readonly fc.Arbitrary<Recipe>[];
const nothing: Args = [];
const feature = fc.oneof(values(fc.constantFrom(...Object.values(ArmVcpuFeature))), oneOf(223, 224));
const register = fc.oneof(
  fc.constant(plain(armSystemRegister(3, 0, 0, 0, 0))),
  // 64 bits of x86_64, 128 and 2048 of aarch64, and a size that no register has.
  oneOf(0x2030_0000_0000_0000n, 0x6040_0000_0010_0054n, 0x6080_0000_0015_0000n, 0x60f0_0000_0000_0000n),
  u64,
);
const attribute: Args = [oneOf(0, 1, 99), fc.oneof(oneOf(0, 1), u64)];

/** Of `Vm`. */
export const arm64Vm = {
  getPreferredTarget: nothing,
  hasDeviceAttr: attribute,
  setDeviceAttr: [...attribute, fc.oneof(oneOf(undefined), data)],
} satisfies Record<string, Args>;

/** Of `Vcpu`. */
export const arm64Vcpu = {
  vcpuInit: [fields({ target: oneOf(0, 5), features: listOf(feature) }, ['target', 'features'])],
  vcpuFinalize: [feature],
  getRegList: nothing,
  getArmVcpuEvents: nothing,
  setArmVcpuEvents: [fields({ serrorPending: oneOf(0, 1), serrorHasEsr: oneOf(0, 1), serrorEsr: u64 })],
  hasDeviceAttr: attribute,
  setDeviceAttr: [...attribute, fc.oneof(oneOf(undefined), data)],
  getOneReg: [register],
  setOneReg: [register, fc.oneof(u32, u64)],
} satisfies Record<string, Args>;
