/**
 * The counters of a vCPU, kept by the run loop at all times.
 *
 * @example
 * ```ts
 * vcpu.run();
 * const { exits, byRoute, guestTimeNs } = vcpu.stats;
 * console.log(`${exits} exits, ${byRoute.javascript} of them in JavaScript, ${guestTimeNs} ns in the guest`);
 * ```
 */
export interface VcpuStats {
  /** All exits to user space. */
  readonly exits: number;
  /** Exits by reason: the kinds of exits, with `io` for both directions of ports and `mmio` for both of memory. */
  readonly byReason: Readonly<Record<string, number>>;
  /** Who served the exits: Rust devices, or JavaScript. `posted` counts writes that came without an exit. */
  readonly byRoute: {
    /** Exits that a Rust device served: no JavaScript ran. */
    readonly rust: number;
    /** Exits that a handler or a JavaScript device served, or that ended the run. */
    readonly javascript: number;
    /** Writes that came collected, without an exit each. */
    readonly posted: number;
  };
  /** How often the vCPU was kicked. */
  readonly kicks: number;
  /** How often a run came back to JavaScript because its slice of time was over. */
  readonly slices: number;
  /** Time inside `KVM_RUN`, in nanoseconds, with the kernel's part of each exit. */
  readonly guestTimeNs: number;
}
