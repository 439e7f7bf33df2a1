/** The devices that can end a run, by the number that the native side has for each. */
export const STOP_DEVICES = ['isa-debug-exit', 'i8042', 'acpi-sleep', 'acpi-reset', 'pvpanic'] as const;
