// The kernel of kernel/, by every way into it.
import test from 'ava';
import { testBoots } from '../helpers/linux-proof.ts';

testBoots(test, 'own', [
  { image: 'vmlinux', protocol: 'pvh' },
  { image: 'vmlinux', protocol: 'elf64' },
  { image: 'bzImage', protocol: 'linux64' },
  { image: 'bzImage', protocol: 'pvh' },
]);
