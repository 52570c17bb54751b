import type { CallEvent } from './call-events.ts';
import type { CallRecord, CallRecords } from './call-records.ts';
import type { CarrierName } from './carrier.ts';
import type { Clock } from './clock.ts';
import { CallBudget } from './cost/budget.ts';
import type { CallBill } from './cost/call-bill.ts';
import type { Followed, Ledger } from './cost/ledger.ts';
import { CallMeter, type End } from './cost/meter.ts';
import type { Prices } from './cost/prices.ts';
import type { EndHook, EndHookConfig } from './hooks/end-hook.ts';
import { ReportWriter } from './hooks/report.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { SPENT_GOODBYE } from './notices.ts';
import { carryOut } from './orders.ts';
import type { Session } from './session.ts';

/** How a call is accounted for. */
export interface AccountTerms {
  /** Whose budget of the day it counts for; the same text for the same number. */
  readonly number: string;
  readonly prices: Prices;
  readonly budget: { readonly perCall: number; readonly goodbye: string | undefined } | undefined;
  /** Who is told of it afterwards; undefined: nobody. */
  readonly endHook: EndHookConfig | undefined;
  /** Those that somebody has set for this call. */
  readonly variables: Readonly<Record<string, string>>;
  /** Keeps what the call uses, until the returned function is called. */
  hold(): () => void;
}

/** Who is told of a call, and what was said of it beforehand. */
export interface ReportTerms {
  readonly endHook: EndHookConfig;
  /** As in `AccountTerms`. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface CallAccountsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly records: CallRecords;
  readonly ledger: Ledger;
  readonly endHook: EndHook;
}

/** What all calls cost, and who is told of them when they are over. */
export class CallAccounts {
  readonly #deps: CallAccountsDeps;
  readonly #accounts = new Map<Session, Account>();
  readonly #sending = new Set<Promise<void>>();

  constructor(deps: CallAccountsDeps) {
    this.#deps = deps;
  }

  /** A call begins, of which there is a record already. Undefined terms: nobody counts. */
  begin(session: Session, terms: AccountTerms | undefined): void {
    if (terms !== undefined) this.#accounts.set(session, new Account(this.#deps, session, terms));
  }

  on(session: Session | undefined, event: CallEvent): void {
    if (session !== undefined) this.#accounts.get(session)?.on(event);
  }

  /** The call is over, and its record says how. */
  ended(session: Session): void {
    const account = this.#accounts.get(session);
    if (account === undefined) return;
    this.#accounts.delete(session);
    this.#track(account.close());
  }

  /** A call is over that may have been placed in vain: somebody who waits for its report is told that. */
  unanswered({ view, ref }: CallRecord, terms: ReportTerms | undefined): void {
    if (view.direction !== 'outbound' || view.answeredAt !== undefined || terms === undefined) return;
    const { endHook: config, variables } = terms;
    const { clock, endHook } = this.#deps;
    const { id, carrier, direction, from, to, agent, createdAt: startedAt, outcome, endedAt } = view;
    const facts = { id, callId: ref?.callId, carrier, direction, from, to, agent, variables, startedAt };
    const report = new ReportWriter(facts).report(undefined, clock.epoch(), { outcome, endedAt });
    this.#track(endHook.send(config, report, { awaitRecording: false }));
  }

  /** The carrier has told where the recording of a call is that may be over. */
  recording(carrier: CarrierName, callId: string, url: string, durationS: number | undefined): void {
    const record = this.#deps.records.byCall(carrier, callId);
    if (record === undefined) return;
    this.#deps.endHook.recording(record.view.id, { url, durationSeconds: durationS ?? null });
  }

  #track(work: Promise<void>): void {
    const sending = work.finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  /** Resolves when all reports are on the disk. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending);
  }
}

class Account {
  readonly #deps: CallAccountsDeps;
  readonly #session: Session;
  readonly #terms: AccountTerms;
  readonly #meter: CallMeter;
  readonly #writer: ReportWriter;
  readonly #budget: CallBudget | undefined;
  readonly #followed: Followed;
  readonly #release: () => void;
  readonly #beganAt: number;
  #providerEnded: End = () => undefined;
  #lineEnded: End | undefined;

  constructor(deps: CallAccountsDeps, session: Session, terms: AccountTerms) {
    const { clock, ledger, records, metrics } = deps;
    const { call, carrier, agent } = session;
    const { callId, direction, from, to } = call;
    this.#deps = deps;
    this.#session = session;
    this.#terms = terms;
    this.#beganAt = clock.now();
    this.#release = terms.hold();
    this.#meter = new CallMeter(clock, terms.prices);
    const view = records.byCall(carrier.name, callId)?.view;
    this.#writer = new ReportWriter({
      id: view?.id ?? callId,
      callId,
      carrier: carrier.name,
      direction,
      from,
      to,
      agent: agent.name,
      variables: terms.variables,
      // The same moment, looked up once: nobody is answered before the start.
      startedAt: view?.answeredAt ?? clock.epoch(),
      recordingFolder: view?.recordingFolder,
    });
    const { budget } = terms;
    let leaving = false;
    const leave = (spent: 'call' | 'number' | 'day'): void => {
      // What spends the budget of a call may spend that of the day: they are told goodbye once.
      if (leaving) return;
      leaving = true;
      metrics.budgetEnded(spent);
      const goodbye = budget?.goodbye ?? SPENT_GOODBYE;
      void carryOut(session, { does: 'leave', reason: 'budget-spent', goodbye });
    };
    this.#budget =
      budget &&
      new CallBudget({
        clock,
        meter: this.#meter,
        perCall: budget.perCall,
        told: () => leave('call'),
      });
    this.#followed = ledger.follow(terms.number, this.#meter, (spent) =>
      leave(spent === 'day-spent' ? 'day' : 'number'),
    );
  }

  on(event: CallEvent): void {
    this.#writer.on(event);
    if (event.type === 'providerReady') {
      this.#providerEnded();
      this.#providerEnded = this.#meter.providerBegan(event.provider, event.model);
    } else if (event.type === 'providerFailed') {
      // Nobody charges for the time until another one is there. Those that were dialled in vain had no session.
      if (event.phase === 'in-call') this.#providerEnded();
    } else if (event.type === 'mediaStarted') {
      this.#lineBegan();
    } else if (event.type === 'usage') {
      const { provider, model, helper, usage, seconds } = event;
      this.#meter.usage(provider, helper ? undefined : model, {
        usage,
        model: helper ? model : undefined,
        seconds,
      });
    }
  }

  /** Puts the call down; resolves when its report is on the disk, if anybody wants one. Never rejects. */
  async close(): Promise<void> {
    this.#providerEnded();
    // It was answered, though nobody waited for the stream.
    if (this.#session.endReason !== 'failed') this.#lineBegan();
    this.#lineEnded?.();
    this.#budget?.close();
    this.#followed.close();
    this.#release();
    const bill = this.#meter.bill();
    this.#putDown(bill);
    await this.#report(bill);
  }

  /** The carrier charges from the answer on, which was when it was told about the stream. */
  #lineBegan(): void {
    const { call, carrier } = this.#session;
    this.#lineEnded ??= this.#meter.lineBegan(carrier.name, call.direction, this.#beganAt);
  }

  #putDown(bill: CallBill): void {
    const { log, metrics } = this.#deps;
    const { cost, unpriced } = bill;
    metrics.callBill(bill);
    if (this.#terms.prices.currency === undefined) return;
    const { callId } = this.#session;
    log.info({ callId, cost: cost?.total, currency: cost?.currency, unpriced }, 'cost of a call');
  }

  async #report(bill: CallBill): Promise<void> {
    const { endHook: config } = this.#terms;
    if (config === undefined) return;
    const { clock, log, records, endHook } = this.#deps;
    const { carrier, callId, recording } = this.#session;
    const goesOnMs = messageMs(this.#session);
    const view = records.byCall(carrier.name, callId)?.view;
    const report = this.#writer.report(bill, clock.epoch(), {
      answeredAt: view?.answeredAt,
      endedAt: view?.endedAt,
    });
    await endHook.send(config, report, { awaitRecording: recording || goesOnMs > 0, goesOnMs });
    // The one line that has both names of a call.
    log.info({ callId, call: report.data.id }, 'report of a call accepted');
  }
}

/** How long the caller may be leaving a message after the end of this call; 0: nobody asks for one. */
function messageMs({ agent, endReason, mustHangUp }: Session): number {
  const { lastResort } = agent;
  const heard = !mustHangUp && endReason !== 'caller-hung-up' && endReason !== 'transferred';
  return heard && lastResort.type === 'message' ? lastResort.maxS * 1000 : 0;
}
