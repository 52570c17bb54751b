import { Counter, Gauge, Registry } from 'prom-client';
import type { ToolOutcome } from './call-events.ts';
import { type CallBill, tokensOf } from './cost/call-bill.ts';
import type { LedgerTrouble } from './cost/day-book.ts';
import { type CallMetrics, createCallMetrics } from './metrics/calls.ts';
import { createEventLoopMetrics, type EventLoopMetrics } from './metrics/event-loop.ts';
import { createFallbackMetrics, type FallbackMetrics } from './metrics/fallback.ts';
import { createLatencies, type LatencyMetrics } from './metrics/latencies.ts';
import { createRecordingMetrics, type RecordingMetrics } from './metrics/recordings.ts';
import type { Usage } from './provider.ts';

/** What the service counts. Calls add their frame counts once, when they end: nothing here runs per frame. */
export interface Metrics
  extends CallMetrics,
    EventLoopMetrics,
    FallbackMetrics,
    LatencyMetrics,
    RecordingMetrics {
  refused(what: 'webhook' | 'upgrade' | 'api', reason: string): void;
  hangUpFailed(carrier: string): void;
  /** A call was refused because the budget of the day, or of its number, is spent. */
  budgetRefused(budget: 'day' | 'number'): void;
  /** `tool`: of those that there are, or `[unknown]`. */
  functionCalled(tool: string, outcome: ToolOutcome): void;
  /** `refused`: it cannot be used, and the one before stays. */
  agentsFileChanged(result: 'used' | 'refused'): void;
  /** `failed`: nobody gave an answer that can be used. */
  startWebhook(answer: 'answer' | 'reject' | 'failed'): void;
  /** Reports that wait are counted when somebody asks for the figures. */
  watchReports(count: () => number): void;
  /** What became of an attempt to deliver the report of a call. */
  report(outcome: 'delivered' | 'retried' | 'failed'): void;
  /** `model`: such as `openai/gpt-realtime`. */
  tokensUsed(model: string, usage: Usage): void;
  /** What a call cost that is over. */
  callBill(bill: CallBill): void;
  /** A call was ended because a budget was spent. */
  budgetEnded(budget: 'call' | 'number' | 'day'): void;
  /** What was spent today could not be read, written or compared. */
  ledgerTrouble(trouble: LedgerTrouble): void;
  /** Prometheus text. */
  text(): Promise<string>;
  readonly contentType: string;
}

export function createMetrics(): Metrics {
  const registry = new Registry();
  let reportsWaiting = (): number => 0;
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({ name: `patchcord_${name}`, help, labelNames, registers });
  const tools = counter('tool_calls_total', 'Function calls and what became of them', ['tool', 'outcome']);
  const reloads = counter('agents_file_reloads_total', 'Changes of the agents file', ['result']);
  const asked = counter('start_webhooks_total', 'Answers of start webhooks', ['answer']);
  const waiting = new Gauge({
    name: 'patchcord_call_reports_waiting',
    help: 'Reports of calls that have not been delivered',
    registers,
    collect() {
      this.set(reportsWaiting());
    },
  });
  waiting.set(0);
  const refused = counter(
    'refused_requests_total',
    'Webhooks, upgrades and requests of operators that were refused',
    ['what', 'reason'],
  );
  const budgets = counter('budget_refusals_total', 'Calls refused because a budget is spent', ['budget']);
  const reports = counter('call_reports_total', 'Attempts to deliver the report of a call', ['outcome']);
  const tokens = counter('tokens_total', 'Tokens that providers reported, what was cached apart', [
    'model',
    'kind',
  ]);
  const unpriced = counter('unpriced_calls_total', 'Calls that used something without a price', ['name']);
  const spent = counter('budget_ends_total', 'Calls ended because a budget was spent', ['budget']);
  const ledgerTroubles = counter(
    'ledger_troubles_total',
    'Spending that could not be read, written or compared',
    ['trouble'],
  );
  const cost = counter('call_cost_total', 'Cost of calls that are over, as far as prices are known', [
    'currency',
    'of',
  ]);
  const hangUps = counter('hang_up_failures_total', 'Hang-ups by REST that failed', ['carrier']);
  return {
    ...createFallbackMetrics(registers),
    ...createRecordingMetrics(registers),
    ...createLatencies(registers),
    ...createCallMetrics(registers),
    ...createEventLoopMetrics(registers),
    refused: (what, reason) => refused.inc({ what, reason }),
    budgetRefused: (budget) => budgets.inc({ budget }),
    functionCalled: (tool, outcome) => tools.inc({ tool, outcome }),
    agentsFileChanged: (result) => reloads.inc({ result }),
    startWebhook: (answer) => asked.inc({ answer }),
    watchReports(count) {
      reportsWaiting = count;
    },
    report: (outcome) => reports.inc({ outcome }),
    budgetEnded: (budget) => spent.inc({ budget }),
    ledgerTrouble: (trouble) => ledgerTroubles.inc({ trouble }),
    tokensUsed(model, usage) {
      for (const [kind, count] of Object.entries(tokensOf(usage))) tokens.inc({ model, kind }, count);
    },
    callBill({ cost: amounts, unpriced: names }) {
      for (const name of names) unpriced.inc({ name });
      if (amounts === undefined) return;
      const { currency, byProvider, byCarrier } = amounts;
      for (const [of, amount] of Object.entries({ ...byProvider, ...byCarrier }))
        cost.inc({ currency, of }, amount);
    },
    hangUpFailed: (carrier) => hangUps.inc({ carrier }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
