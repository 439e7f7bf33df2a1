import type { Command } from './command.ts';
import { advise } from './doctor/advice.ts';
import { drawDoctor } from './doctor/draw.ts';
import type { Facts } from './doctor/facts.ts';
import { readHost } from './doctor/host.ts';
import { readVersions } from './doctor/versions.ts';
import { ExitCode } from './exit-codes.ts';
import { renderHelp } from './help.ts';
import { parseOptions } from './options.ts';
import { painter } from './style.ts';
import { UsageError } from './usage-error.ts';

const options = {
  json: {
    type: 'boolean',
    help: 'the same as data: { verdict, headline, can, cannot, remedies, host, versions, kvm, failure }',
  },
  device: { type: 'string', value: 'PATH', help: 'look at another device than /dev/kvm' },
} as const;

/** Gathers everything. KVM is asked only where the device opens: elsewhere the addon may not even exist. */
async function gather(devicePath: string): Promise<Facts> {
  const host = readHost({ devicePath });
  const versions = readVersions();
  if (host.platform !== 'linux' || host.device.access !== 'ok') {
    return { host, versions, kvm: undefined, failure: undefined };
  }
  const { readKvm } = await import('./doctor/kvm.ts');
  return { host, versions, ...readKvm(devicePath) };
}

export const command: Command = {
  help: () =>
    renderHelp({
      usage: 'doctor [options]',
      about:
        'Says in one screen whether KVM can be used here, what this host can and cannot run, and how to mend it.',
      options,
      examples: [
        ['vmhatch doctor', 'look'],
        ['vmhatch doctor --json | jq .verdict', '"ready", "limited" or "unavailable"'],
        ['vmhatch doctor > /dev/null && npm test', 'test only where there is KVM'],
      ],
    }),

  main: async (args) => {
    const { values, positionals } = parseOptions(options, args);
    if (positionals.length > 0) throw new UsageError(`doctor takes no '${positionals[0]}'`);
    const facts = await gather(values.device ?? '/dev/kvm');
    const findings = advise(facts);
    process.stdout.write(
      values.json === true
        ? `${JSON.stringify({ ...findings, ...facts }, undefined, 2)}\n`
        : drawDoctor(facts, findings, painter(process.stdout), Math.min(process.stdout.columns ?? 100, 120)),
    );
    return findings.verdict === 'unavailable' ? ExitCode.kvmUnavailable : ExitCode.ok;
  },
};
