/** The counters of a vCPU, kept by the run loop at all times. */
export interface VcpuStats {
  /** All exits to user space. */
  readonly exits: number;
  /** Exits by reason: the kinds of exits, with `io` for both directions of ports and `mmio` for both of memory. */
  readonly byReason: Readonly<Record<string, number>>;
  /** Who served the exits: Rust devices, or JavaScript. `posted` counts writes that came without an exit. */
  readonly byRoute: { readonly rust: number; readonly javascript: number; readonly posted: number };
  /** How often the vCPU was kicked. */
  readonly kicks: number;
  /** How often a run came back to JavaScript because its slice of time was over. */
  readonly slices: number;
  /** Time inside `KVM_RUN`, in nanoseconds, with the kernel's part of each exit. */
  readonly guestTimeNs: number;
}
