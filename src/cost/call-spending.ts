import type { Clock } from '../clock.ts';
import { CallBudget } from './budget.ts';
import type { CallBill } from './call-bill.ts';
import type { Followed, Ledger, Spent } from './ledger.ts';
import { CallMeter } from './meter.ts';
import type { Prices } from './prices.ts';

/** Which budget is spent: that of the call, of its number, or of the day. */
export type SpentBudget = 'call-spent' | Spent;

export interface CallSpendingOptions {
  readonly clock: Clock;
  /** Of the agents file that the call began with. */
  readonly prices: Prices;
  /** Undefined: nobody counts days. */
  readonly ledger: Ledger | undefined;
  /** The service's own number: the one that was called, or that calls. */
  readonly number: string;
  /** `budget.perCall` of the agent; undefined: the call may cost what it will. */
  readonly perCall: number | undefined;
  /** The call is to be ended politely. Called at most once, and never from within what is told to the meter. */
  readonly told: (spent: SpentBudget) => void;
}

/** What one call spends, and who has to know: its own budget, and the ledger of days. */
export class CallSpending {
  readonly meter: CallMeter;
  readonly #budget: CallBudget | undefined;
  readonly #followed: Followed | undefined;
  readonly #told: (spent: SpentBudget) => void;
  #bill: CallBill | undefined;
  #wasTold = false;

  constructor({ clock, prices, ledger, number, perCall, told }: CallSpendingOptions) {
    this.#told = told;
    this.meter = new CallMeter(clock, prices);
    this.#followed = ledger?.follow(number, this.meter, (spent) => this.#tell(spent));
    if (perCall !== undefined) {
      const { meter } = this;
      this.#budget = new CallBudget({ clock, meter, perCall, told: () => this.#tell('call-spent') });
    }
  }

  /**
   * The call is over and the meter was told of the end of everything: puts down the rest, tells nothing more, and
   * returns the bill. Idempotent; what is reported later is not on it.
   */
  close(): CallBill {
    if (this.#bill !== undefined) return this.#bill;
    this.#wasTold = true;
    this.#budget?.close();
    this.#followed?.close();
    this.#bill = this.meter.bill();
    return this.#bill;
  }

  #tell(spent: SpentBudget): void {
    if (this.#wasTold) return;
    this.#wasTold = true;
    this.#told(spent);
  }
}
