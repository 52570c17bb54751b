/** A function call of a planned response. */
export interface PlannedCall {
  readonly name: string;
  /** Text goes out as it is, so it may be broken JSON. */
  readonly args: object | string;
  /** Default: made up. */
  readonly callId?: string;
}

/** A spoken (or, in a text session, written) message of a planned response. */
export interface PlannedMessage {
  /** Length of the babble in ms; default 60 ms for each letter of the transcript, 1500 ms without one. */
  readonly audioMs?: number;
  /** Samples to be heard instead of babble: 24 kHz PCM16, mono. */
  readonly audio?: Int16Array;
  readonly transcript?: string;
  /** Reasoning models of some makers speak a preamble before the answer. */
  readonly phase?: 'commentary' | 'final_answer';
}

/** How long the babble of a message is, in ms. */
export function babbleMs(message: PlannedMessage): number {
  if (message.audioMs !== undefined) return message.audioMs;
  return message.transcript === undefined ? 1_500 : Math.max(400, message.transcript.length * 60);
}

/** What the transcriber makes of speech when no script says otherwise. */
export function defaultTranscript(heardMs: number): string {
  return `Speech of ${(heardMs / 1000).toFixed(1)} seconds.`;
}

/** How a connection ended. */
export interface ConnectionEnd {
  readonly code: number;
  readonly reason: string;
}
