import type { Facts, KvmFacts } from './facts.ts';
import type { HostFacts } from './host.ts';
import { platformName } from './platform-name.ts';
import { deviceRemedies, missingDeviceRemedies } from './remedies.ts';
import type { Remedy } from './remedies.ts';

/** What the doctor makes of the facts. */
export interface Findings {
  /** ready: everything runs; limited: guests run, not all of them or not at speed; unavailable: no guest runs. */
  readonly verdict: 'ready' | 'limited' | 'unavailable';
  /** The verdict in one sentence. */
  readonly headline: string;
  readonly can: readonly string[];
  readonly cannot: readonly string[];
  /** What to do, most likely first. */
  readonly remedies: readonly Remedy[];
}

/** The only API version that there has been since 2007. */
const apiVersion = 12;

/** Turns facts into a verdict and advice. Pure. */
export function advise(facts: Facts): Findings {
  const { host, kvm } = facts;
  const failed = (headline: string, ...remedies: Remedy[]): Findings => ({
    verdict: 'unavailable',
    headline,
    can: [],
    cannot: ['run any guest'],
    remedies,
  });
  if (host.platform !== 'linux')
    return failed(`KVM is a part of Linux; this is ${platformName(host.platform)}`, platformRemedy(host));
  if (host.arch !== 'x64') {
    return failed(`vmhatch runs x86-64 guests on x86-64 hosts; this one is ${host.arch}`, {
      title: 'Use an x86-64 host',
      steps: ['a processor of another kind would have to emulate every instruction'],
    });
  }
  if (host.device.access === 'ENOENT')
    return failed(`${host.device.path} is not there`, ...missingDeviceRemedies(host));
  if (host.device.access !== 'ok') {
    return failed(
      `${host.device.path} is there, but opening it fails: ${host.device.access}`,
      ...deviceRemedies(host),
    );
  }
  if (kvm === undefined) return withoutApi(facts, failed);
  if (kvm.apiVersion !== apiVersion) {
    return failed(`this kernel's KVM has API version ${kvm.apiVersion}; it has to be ${apiVersion}`, {
      title: 'Use a kernel with the stable KVM API',
      steps: ['every Linux since 2.6.22 has it'],
    });
  }
  if (!kvm.trial.ok)
    return failed(
      `a guest of three instructions did not run: ${kvm.trial.message}`,
      trialRemedy(kvm.trial.errno),
    );
  return working(host, kvm);
}

function withoutApi(
  { failure, host }: Facts,
  failed: (headline: string, ...remedies: Remedy[]) => Findings,
): Findings {
  const code = failure?.code ?? 'ERR_KVM_UNAVAILABLE';
  const headline = `${host.device.path} opens, but vmhatch cannot use it [${code}]`;
  if (code !== 'ERR_KVM_PLATFORM') return failed(headline, ...deviceRemedies(host));
  return failed(headline, {
    title: 'Get the native part of vmhatch',
    steps: [
      'npm install vmhatch --include=optional   # the platform package is an optional dependency',
      'npm run build                            # in a checkout: needs cargo and a C compiler',
    ],
  });
}

function platformRemedy({ platform }: HostFacts): Remedy {
  if (platform === 'win32') {
    return {
      title: 'Run it inside WSL 2, whose Linux can have KVM',
      steps: [
        'wsl --install -d Debian',
        'in %UserProfile%\\.wslconfig:  [wsl2]  nestedVirtualization=true   # then: wsl --shutdown',
      ],
    };
  }
  if (platform === 'darwin') {
    return {
      title: 'Run it in a Linux virtual machine with nested virtualisation, or on a Linux machine',
      steps: [
        'an x86-64 Linux guest with KVM needs an Intel Mac whose hypervisor offers nested virtualisation',
      ],
    };
  }
  return { title: 'Run it on Linux', steps: ['importing vmhatch works anywhere; opening KVM does not'] };
}

function trialRemedy(errno: string | undefined): Remedy {
  if (errno === 'EBUSY') {
    return {
      title: 'Something else holds the processor’s virtualisation',
      steps: ['stop the other hypervisor (VirtualBox, VMware), or run one of the two at a time'],
    };
  }
  return { title: 'Ask the kernel', steps: ['sudo dmesg | grep -i kvm'] };
}

function working(host: HostFacts, kvm: KvmFacts): Findings {
  const can = ['bare programs in real, protected and long mode', 'firmware at the reset vector (SeaBIOS)'];
  const cannot: string[] = [];
  const missing = essential.filter((name) => !has(kvm, name));
  if (missing.length > 0) cannot.push(`everything: KVM here lacks ${missing.join(', ')}`);
  if (host.module.vendor === 'pvm') {
    return {
      verdict: 'limited',
      headline: 'guests run, in KVM’s instruction emulator (KVM-PVM): good for tests, not for compute',
      can: [...can, 'tests of exits, devices, memory, interrupts and reset: the exits are real'],
      cannot: [
        ...cannot,
        'a stock Linux kernel: it meets instructions that the emulator refuses',
        'compute: about 1.5 million instructions a second',
        'nested guests, SMM, 1 GiB pages',
      ],
      remedies: [
        {
          title: 'For speed and for Linux guests, use a host with hardware virtualisation',
          steps: [
            'a physical machine, or a virtual one with nested virtualisation:',
            'grep -cE "vmx|svm" /proc/cpuinfo   # above 0 there',
            'or, slowly, in a clone of vmhatch: scripts/emulated-host -- COMMAND',
          ],
        },
      ],
    };
  }
  can.push('Linux guests', 'compute at the processor’s own speed');
  if (host.virtual)
    cannot.push(
      'exits at bare-metal cost: this host is itself a virtual machine, each exit passes its hypervisor',
    );
  if (host.module.nested === false)
    cannot.push('guests with KVM of their own (the module’s nested option is off)');
  return {
    verdict: missing.length > 0 ? 'limited' : 'ready',
    headline:
      missing.length > 0
        ? 'guests run, but this KVM is older than vmhatch wants'
        : `guests run in hardware${host.virtual ? ', nested in another hypervisor' : ''}`,
    can,
    cannot,
    remedies: [],
  };
}

/** Without these some part of vmhatch does not work. */
const essential = ['UserMemory', 'SyncRegs', 'ImmediateExit', 'Irqchip', 'Irqfd', 'Ioeventfd'];

function has(kvm: KvmFacts, name: string): boolean {
  return Object.values(kvm.capabilities)
    .flat()
    .some((capability) => capability.name === name && capability.value > 0);
}
