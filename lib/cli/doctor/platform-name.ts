const names: Readonly<Record<string, string>> = {
  darwin: 'macOS',
  win32: 'Windows',
  freebsd: 'FreeBSD',
  openbsd: 'OpenBSD',
  android: 'Android',
};

/** `process.platform` as people call it. */
export function platformName(platform: string): string {
  return names[platform] ?? platform;
}
