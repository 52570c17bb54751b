/** Who records a call: the bridge, which keeps what crosses its edges; the carrier, which is asked to; both; or nobody. */
export const RECORDED_BY = ['off', 'bridge', 'carrier', 'both'] as const;
export type RecordedBy = (typeof RECORDED_BY)[number];

/** Whose speech is kept as noise of the same length. */
export const NOISED = ['none', 'caller', 'agent', 'both'] as const;

/** What the bridge takes out of a recording while it makes it. */
export interface RecordingRedaction {
  /** Telephone numbers and the like are replaced by fictitious ones. */
  readonly numbers: boolean;
  /** Names of fields whose values are taken out, in messages and arguments at any depth. */
  readonly fields: readonly string[];
  readonly speech: (typeof NOISED)[number];
  /** What was said, wherever it is written down. */
  readonly words: boolean;
  /** Keys that the caller pressed. */
  readonly keys: boolean;
}

/** How the calls of an agent are recorded. */
export interface RecordingPlan {
  readonly by: RecordedBy;
  /** Undefined: nothing is taken out. */
  readonly redact: RecordingRedaction | undefined;
}

/** How the bridge records one call. */
export interface BridgeRecording {
  /** Undefined: nothing is taken out. */
  readonly redact: RecordingRedaction | undefined;
}

/** Whether the bridge itself records. */
export function bridgeRecords(by: RecordedBy | undefined): boolean {
  return by === 'bridge' || by === 'both';
}

/** Whether the carrier is asked to record. */
export function carrierRecords(by: RecordedBy | undefined): boolean {
  return by === 'carrier' || by === 'both';
}

/**
 * What a call is treated by, with who records it. `plan`: of its agent, else of the service; undefined: nobody has said
 * anything. `wish`: of whoever ordered this call; it says who records, and never what is taken out.
 */
export function withRecording<T extends { readonly agent: { readonly recording: boolean } }>(
  terms: T,
  plan: RecordingPlan | undefined,
  wish: RecordedBy | undefined,
): T & { readonly recording?: BridgeRecording } {
  const by = wish ?? plan?.by;
  if (by === undefined) return terms;
  const agent = { ...terms.agent, recording: carrierRecords(by) };
  return { ...terms, agent, ...(bridgeRecords(by) ? { recording: { redact: plan?.redact } } : {}) };
}
