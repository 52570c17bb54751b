import { BridgeError } from '../../../errors.ts';
import type { CallOptions } from '../call-terms.ts';

/** What may be said in `CallOptions.settings` of a call by Plivo; the first value of each is the default. */
const CHOICES = {
  /** How an inbound call asks at the answer URL, and tells the hangup URL. */
  answerMethod: ['POST', 'GET'],
  hangupMethod: ['POST', 'GET'],
  /**
   * `both`: V3 and Ma-V3 of the account. `ma-only`: no V3. `subaccount`: V3 with a subaccount's token, Ma-V3 with the
   * account's. `several`: as while a token is being changed, two signatures in each header.
   */
  signatures: ['both', 'v3-only', 'ma-only', 'subaccount', 'several'],
  /** Whether the repetition of a webhook has a nonce of its own. */
  nonce: ['fresh', 'repeated'],
  /** The form of the address that is signed when a media socket is opened. */
  upgradeUrl: [
    'https',
    'http',
    'wss',
    'ws',
    'https/websocket',
    'http/websocket',
    'wss/websocket',
    'ws/websocket',
    'none',
  ],
  subprotocol: ['audio.plivo.com', 'none'],
  /** Timestamps of media: time of day, or time of the stream, in ms. */
  timestamps: ['epoch', 'stream'],
  /** Whether the stream says that it stops. */
  stop: ['never', 'sent'],
  /** Whether nonsense on the media socket is answered with `playFailed` or `error`. */
  errorFrames: ['never', 'sent'],
  /** Whether a call that was placed has the id of its request. */
  requestIds: ['distinct', 'same'],
  /** How the end of a recording is told: in fields, or as JSON in one field. */
  recordCallback: ['fields', 'response'],
} as const;

type Choices = typeof CHOICES;

/** The settings of one call. */
export type PlivoSettings = { readonly [K in keyof Choices]: Choices[K][number] } & {
  /** The key that the other leg of a transfer presses when it is asked for one; empty: none. Default: the right one. */
  readonly legPresses: string | undefined;
};

/** Throws BAD_INPUT for a setting that Plivo has not, or a value that it cannot have. */
export function readSettings(options: Pick<CallOptions, 'settings'>): PlivoSettings {
  const { legPresses, ...given } = options.settings ?? {};
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(CHOICES, name));
  if (unknown !== undefined) {
    const known = [...Object.keys(CHOICES), 'legPresses'].join(', ');
    throw new BridgeError('BAD_INPUT', `settings: found ${JSON.stringify(unknown)}, wanted one of ${known}`);
  }
  const choose = <K extends keyof Choices>(name: K): Choices[K][number] => choice(name, given[name]);
  return {
    answerMethod: choose('answerMethod'),
    hangupMethod: choose('hangupMethod'),
    signatures: choose('signatures'),
    nonce: choose('nonce'),
    upgradeUrl: choose('upgradeUrl'),
    subprotocol: choose('subprotocol'),
    timestamps: choose('timestamps'),
    stop: choose('stop'),
    errorFrames: choose('errorFrames'),
    requestIds: choose('requestIds'),
    recordCallback: choose('recordCallback'),
    legPresses,
  };
}

function choice<K extends keyof Choices>(name: K, found: string | undefined): Choices[K][number] {
  const choices: readonly Choices[K][number][] = CHOICES[name];
  const chosen = found === undefined ? choices[0] : choices.find((one) => one === found);
  if (chosen !== undefined) return chosen;
  const wanted = choices.join(', ');
  throw new BridgeError(
    'BAD_INPUT',
    `settings.${name}: found ${JSON.stringify(found)}, wanted one of ${wanted}`,
  );
}
