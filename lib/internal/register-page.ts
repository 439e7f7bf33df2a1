/**
 * The general-purpose registers in the shared page. With KVM_CAP_SYNC_REGS KVM puts them there at every exit and takes
 * them from there at the next entry, so a handler reads and writes registers without an ioctl.
 */
import { RUN, SYNC_REGS } from '../generated/run-page.ts';
import { EXCHANGE } from '../generated/state-kinds.ts';
import { kvmRegs, type KvmRegs } from '../generated/structs.ts';
import type { RunView } from './run-view.ts';
import { decodeAt } from './structs.ts';

const VALID = RUN.validRegs / 4;
const DIRTY = RUN.dirtyRegs / 4;
const FIRST = RUN.syncRegs.regs;

/** What the page needs of the run that it belongs to. */
interface PageOwner {
  readonly view: RunView;
  /** The current exit's number. */
  readonly sequence: number;
  /** Reads or writes state through the page. */
  exchange(request: number): void;
}

/** One vCPU's registers in its shared page. */
export class RegisterPage {
  readonly #owner: PageOwner;
  /** The exit whose registers the page holds although KVM did not put them there. */
  #freshAt: number | undefined;
  readonly #view: RunView;
  readonly #hasSyncRegs: boolean;

  constructor(owner: PageOwner, hasSyncRegs: boolean) {
    this.#owner = owner;
    this.#view = owner.view;
    this.#hasSyncRegs = hasSyncRegs;
  }

  /** KVM fills the page only for runs in which somebody looks. */
  beginRun(): void {
    this.#view.u32[VALID] = 0;
  }

  /** Asks KVM to fill the page at every exit of this run. */
  follow(): void {
    if (this.#hasSyncRegs) this.#view.u32[VALID] = SYNC_REGS.REGS;
  }

  /** Writes back what a handler left in the page: after a run, registers are read by ioctl again. */
  endRun(): void {
    const view = this.#view;
    if (view.u32[DIRTY] !== 0) {
      view.u32[DIRTY] = 0;
      this.#owner.exchange(EXCHANGE.STORE_REGS);
    }
    if (view.u32[VALID] !== 0) view.u32[VALID] = 0;
    this.#freshAt = undefined;
  }

  /** All of them. The page holds them: `load()` was called. */
  all(): KvmRegs {
    return decodeAt(kvmRegs, this.#view.data, FIRST);
  }

  /** Makes the page hold the registers of the current exit. In a run, KVM does so itself from then on. */
  load(inHandler: boolean): void {
    // A page that is gone holds nothing: the call below says that the vCPU is closed.
    if (this.#freshAt === this.#owner.sequence && this.#view.u8.length !== 0) return;
    if (inHandler && this.#hasSyncRegs) {
      if (this.#view.u32[VALID] === SYNC_REGS.REGS) return;
      // This exit's registers by ioctl, those of the next ones with the exit.
      this.follow();
    }
    this.#owner.exchange(EXCHANGE.LOAD_REGS);
    this.#freshAt = this.#owner.sequence;
  }

  get(index: number): bigint {
    return this.#view.data.getBigUint64(FIRST + index * 8, true);
  }

  /** Writes one register. */
  write(index: number, value: bigint, inHandler: boolean): void {
    this.load(inHandler);
    this.#view.data.setBigUint64(FIRST + index * 8, value, true);
    this.store(inHandler);
  }

  /** Makes a change that was prepared. */
  change(patch: (target: DataView, from: number) => void, inHandler: boolean): void {
    this.load(inHandler);
    patch(this.#view.data, FIRST);
    this.store(inHandler);
  }

  /** The page was changed: KVM shall take the registers from it. */
  store(inHandler: boolean): void {
    // The page is what counts until the next entry, whoever filled it.
    this.#freshAt = this.#owner.sequence;
    if (inHandler && this.#hasSyncRegs) this.#view.u32[DIRTY] = SYNC_REGS.REGS;
    else this.#owner.exchange(EXCHANGE.STORE_REGS);
  }
}
