import type { HostFacts } from './host.ts';

/** Something to do, and the commands to do it with. */
export interface Remedy {
  readonly title: string;
  readonly steps: readonly string[];
}

/** The rule that gives /dev/kvm to the group kvm at every start, as distributions ship it. */
const udevRule = 'KERNEL=="kvm", GROUP="kvm", MODE="0660", OPTIONS+="static_node=kvm"';

const containerDevice: Remedy = {
  title: 'Give the container the device',
  steps: [
    'docker run --device /dev/kvm …                                        # podman too',
    'docker run --device /dev/kvm --group-add "$(stat -c %g /dev/kvm)" …   # when it runs as another user than root',
    'Kubernetes: a device plugin for /dev/kvm, or a privileged pod',
  ],
};

const udev: Remedy = {
  title: 'Let the group kvm own the device, now and after each start',
  steps: [
    'sudo groupadd --force --system kvm',
    `echo '${udevRule}' | sudo tee /etc/udev/rules.d/65-kvm.rules`,
    'sudo udevadm control --reload && sudo udevadm trigger --name-match=kvm',
  ],
};

/** The same where the person sits inside a container. */
const hostUdev: Remedy = { ...udev, title: 'On the host, let the group kvm own the device' };

const joinGroup: Remedy = {
  title: 'Join the group kvm',
  steps: ['sudo usermod -aG kvm "$USER"', 'then log in again (or for this shell only: newgrp kvm)'],
};

/** /dev/kvm exists and does not open. */
export function deviceRemedies(host: HostFacts): Remedy[] {
  const { access } = host.device;
  if (access === 'EACCES') return permissionRemedies(host);
  if (access === 'EPERM') {
    return [
      host.container === undefined
        ? {
            title: 'Something forbids the device to this process',
            steps: [
              'look for a device policy: systemd’s DeviceAllow=, AppArmor, SELinux (sudo dmesg | tail)',
            ],
          }
        : containerDevice,
    ];
  }
  // The device's node is there, but nothing behind it.
  if (access === 'ENODEV' || access === 'ENXIO') return absentRemedies(host);
  return [{ title: 'Ask the kernel', steps: ['sudo dmesg | grep -i kvm'] }];
}

function permissionRemedies(host: HostFacts): Remedy[] {
  const { device, user } = host;
  if (user.listedInDeviceGroup && !user.inDeviceGroup) {
    return [
      {
        title: `You are in the group ${device.group ?? 'kvm'}, but this session began before that`,
        steps: ['log in again (or for this shell only: newgrp kvm)'],
      },
    ];
  }
  // The group may use the device already: joining is enough. Otherwise the device's owner is what is wrong.
  const groupMayUse = device.group === 'kvm' && (Number.parseInt(device.mode ?? '0', 8) & 0o060) === 0o060;
  if (host.container !== undefined) return groupMayUse ? [containerDevice] : [containerDevice, hostUdev];
  return groupMayUse ? [joinGroup] : [udev, joinGroup];
}

/** /dev/kvm does not exist. */
export function missingDeviceRemedies(host: HostFacts): Remedy[] {
  if (host.container !== undefined)
    return [containerDevice, ...(host.module.core ? [] : [moduleRemedy(host)])];
  if (host.module.vendor !== undefined) {
    return [
      {
        title: 'The module is loaded, only its device node is missing',
        steps: [
          'sudo udevadm trigger --name-match=kvm',
          'without udev: sudo mknod -m 0660 /dev/kvm c 10 232 && sudo chgrp kvm /dev/kvm',
        ],
      },
    ];
  }
  return absentRemedies(host);
}

/** The kernel has no KVM running: it was not asked to, or the processor shows it nothing to run on. */
function absentRemedies(host: HostFacts): Remedy[] {
  if (host.cpu.extension !== undefined) return [moduleRemedy(host)];
  return host.virtual ? [nestedRemedy(host)] : [firmwareSetupRemedy(host), moduleRemedy(host)];
}

function moduleName({ cpu }: HostFacts): string {
  if (cpu.extension === 'vmx' || (cpu.extension === undefined && cpu.vendor === 'intel')) return 'kvm_intel';
  if (cpu.extension === 'svm' || (cpu.extension === undefined && cpu.vendor === 'amd')) return 'kvm_amd';
  return 'kvm_intel   # on AMD: kvm_amd';
}

function moduleRemedy(host: HostFacts): Remedy {
  const name = moduleName(host);
  return {
    title: 'Load the KVM module',
    steps: [
      `sudo modprobe ${name}`,
      ...(name.includes(' ')
        ? []
        : [`echo ${name} | sudo tee /etc/modules-load.d/kvm.conf   # at every start`]),
      'if it answers "Operation not supported": virtualisation is off in the firmware’s set-up',
    ],
  };
}

function firmwareSetupRemedy({ cpu }: HostFacts): Remedy {
  const what = cpu.vendor === 'intel' ? 'Intel VT-x' : cpu.vendor === 'amd' ? 'SVM (AMD-V)' : 'VT-x or SVM';
  return {
    title: 'The processor offers no virtualisation: switch it on',
    steps: [`in the firmware’s set-up (BIOS, UEFI): ${what}`],
  };
}

function nestedRemedy(host: HostFacts): Remedy {
  const outer =
    host.cpu.vendor === 'intel' ? ['intel'] : host.cpu.vendor === 'amd' ? ['amd'] : ['intel', 'amd'];
  return {
    title: `This is a virtual machine${host.hardware === undefined ? '' : ` (${host.hardware})`} without nested virtualisation: switch it on outside`,
    steps: [
      ...outer.map(
        (vendor) =>
          `on the host:  echo 'options kvm_${vendor} nested=1' | sudo tee /etc/modprobe.d/kvm-nested.conf   # then reload kvm_${vendor}`,
      ),
      'QEMU: -cpu host     libvirt: <cpu mode="host-passthrough"/>     VMware, Hyper-V: expose virtualisation to the guest',
      'clouds: an instance type with nested virtualisation, or bare metal',
    ],
  };
}
