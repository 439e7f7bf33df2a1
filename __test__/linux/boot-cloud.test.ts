// A stock kernel: the one that Debian makes for clouds. It is a bzImage; by PVH it is unpacked first.
import test from 'ava';
import { testBoots } from '../helpers/linux-proof.ts';

testBoots(test, 'cloud', [
  { image: 'bzImage', protocol: 'linux64' },
  { image: 'bzImage', protocol: 'pvh' },
]);
