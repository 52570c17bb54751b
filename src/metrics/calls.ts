import { Counter, Gauge, type Registry } from 'prom-client';

/** What one call has counted by its end. Plain numbers, so that counting costs nothing while it is up. */
export interface CallCounts {
  readonly seconds: number;
  readonly framesIn: number;
  /** Silence put into holes of the carrier's stream. */
  readonly filledMs: number;
  /** Caller speech that no provider could be given, because none was ready in time. */
  readonly lostBeforeReadyMs: number;
  /** Frames of the caller for which the provider's socket had no room. */
  readonly refusedFrames: number;
  /** Speech of interrupted responses that was kept from the caller; nothing is wrong with that. */
  readonly refusedDownlinkMs: number;
  /** Agent speech that no queue could hold. */
  readonly droppedDownlinkMs: number;
  /** Times that the agent's speech ran dry in the middle of an item. */
  readonly underruns: number;
  /** Times that the carrier's marks stayed away. */
  readonly marksLost: number;
  readonly bargeIns: number;
  readonly providerErrors: number;
  readonly providerWarnings: number;
}

/** What is counted of calls: once, when they end, and at once what is rare. Nothing here runs per frame. */
export interface CallMetrics {
  callStarted(): void;
  /** `provider`: who held the call last, to whom all of its counts are put down. */
  callEnded(
    labels: { readonly reason: string; readonly carrier: string; readonly provider: string },
    counts: CallCounts,
  ): void;
  /** A media message of the carrier could not be read. */
  unreadable(carrier: string): void;
  /** An event of a call was forgotten, because operators are told of no more than so many. */
  eventForgotten(): void;
}

/** @param registers where the figures are told */
export function createCallMetrics(registers: Registry[]): CallMetrics {
  const active = new Gauge({ name: 'patchcord_calls_active', help: 'Calls that are up', registers });
  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({ name: `patchcord_${name}`, help, labelNames, registers });
  const ended = counter('calls_ended_total', 'Calls by the reason of their end', [
    'reason',
    'carrier',
    'provider',
  ]);
  const unreadable = counter('media_unreadable_total', 'Media messages of carriers that cannot be read', [
    'carrier',
  ]);
  const forgotten = counter('call_events_forgotten_total', 'Events of calls that operators cannot see', []);
  const both = (name: string, help: string): Counter<'carrier' | 'provider'> =>
    counter(name, help, ['carrier', 'provider']);
  const sums: readonly (readonly [keyof CallCounts, Counter<'carrier' | 'provider'>])[] = [
    ['seconds', both('call_seconds_total', 'Seconds of calls')],
    ['framesIn', both('media_frames_in_total', 'Media messages from carriers')],
    ['filledMs', both('uplink_filled_ms_total', 'Silence put into holes of the carrier stream, ms')],
    [
      'lostBeforeReadyMs',
      both('uplink_lost_ms_total', 'Caller speech lost before the provider was ready, ms'),
    ],
    [
      'refusedFrames',
      both('uplink_refused_frames_total', 'Frames dropped because the provider socket was full'),
    ],
    [
      'refusedDownlinkMs',
      both('downlink_refused_ms_total', 'Speech of interrupted responses kept from the caller, ms'),
    ],
    ['droppedDownlinkMs', both('downlink_dropped_ms_total', 'Agent speech that no queue could hold, ms')],
    ['underruns', both('underruns_total', 'Times that agent speech ran dry in the middle')],
    ['marksLost', both('marks_lost_total', 'Times that marks of the carrier stayed away')],
    ['bargeIns', both('barge_ins_total', 'Interruptions by the caller')],
    ['providerErrors', both('provider_errors_total', 'Errors reported by providers')],
    ['providerWarnings', both('provider_warnings_total', 'Warnings of providers and their adapters')],
  ];
  return {
    callStarted: () => active.inc(),
    callEnded({ reason, carrier, provider }, counts) {
      active.dec();
      ended.inc({ reason, carrier, provider });
      // Also those that are 0: a rate can only be told of what is there.
      for (const [what, sum] of sums) sum.inc({ carrier, provider }, counts[what]);
    },
    unreadable: (carrier) => unreadable.inc({ carrier }),
    eventForgotten: () => forgotten.inc(),
  };
}
