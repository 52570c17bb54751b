import { BridgeError } from '../../../errors.ts';
import type { CallOptions } from '../call-terms.ts';

/** What may be said in `CallOptions.settings` of a call by Telnyx; the first value of each is the default. */
const CHOICES = {
  /**
   * Which kind of application the number is attached to: one of TeXML (documents) or one of Call Control (events and
   * commands). `by-address`: Call Control when the webhook's path begins with `/events`, or the order names a connection.
   */
  control: ['by-address', 'texml', 'call-control'],
  /** The codec of the caller's leg: what the bridge is sent unless it asks for another one that Telnyx can make of it. */
  legCodec: ['PCMU', 'PCMA', 'G722', 'L16/8000', 'L16/16000', 'L16/24000'],
  /** Of L16, both ways: nobody says in public which one it is. */
  l16ByteOrder: ['little', 'big'],
  /** Between which codecs Telnyx converts what it sends: as documented between PCMU and PCMA, or between all. */
  transcoding: ['g711', 'all'],
  /** The form of an error frame: `error` with the code as a string (older), or `payload` with a number (newer). */
  errorFrames: ['error', 'payload'],
  /**
   * In which order events of Call Control arrive: as they happened, each two in reverse, or all at once. (The fault
   * `reverseProgress` is for TeXML only: a call whose first event came last would never be answered.)
   */
  eventOrder: ['kept', 'swapped', 'concurrent'],
  /** Whether `answer` opens the stream that it asks for; somebody found that it does not. */
  answerStreams: ['yes', 'no'],
  /** What the detection of Call Control says of whoever takes a call: what is so, or always the same word. */
  detection: ['as-it-is', 'not_sure', 'fax_detected', 'silence'],
  /** How TeXML asks for the first document. */
  voiceMethod: ['POST', 'GET'],
  /** Whether the voice address of TeXML is also told how a call goes on, and what it has cost. */
  voiceUrlCallbacks: ['no', 'yes'],
  /** The body of callbacks about streams of TeXML: documented are forms, shown is JSON. */
  streamCallbacks: ['form', 'json'],
} as const;

/** Settings that are whole numbers or text: what they must look like, and their default. */
const VALUES = {
  /** Base64 of the 32 bytes of the private key that signs webhooks. Default: made of the account's secret. */
  signingSeed: [/^[A-Za-z0-9+/]{43}=$/, 'base64 of 32 bytes', undefined],
  /** The call is cleared when the bridge has sent no audio for so long after `start`. Default: never. */
  silenceLimitMs: [/^\d{1,6}$/, 'a number of ms', undefined],
  /** How long Telnyx waits for the answer to a webhook. */
  webhookTimeoutMs: [/^\d{1,6}$/, 'a number of ms', '5000'],
} as const;

type Choices = typeof CHOICES;
type Chosen = { readonly [K in keyof Choices]: Choices[K][number] };

/** The settings of one call. */
export interface TelnyxSettings extends Omit<Chosen, 'control'> {
  readonly control: 'texml' | 'call-control';
  readonly signingSeed: string | undefined;
  readonly silenceLimitMs: number | undefined;
  readonly webhookTimeoutMs: number;
}

/** Throws BAD_INPUT for a setting that Telnyx has not, or a value that it cannot have. */
export function readSettings(options: CallOptions): TelnyxSettings {
  const given = options.settings ?? {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(CHOICES, name) || Object.hasOwn(VALUES, name)) continue;
    const known = [...Object.keys(CHOICES), ...Object.keys(VALUES)].join(', ');
    throw new BridgeError('BAD_INPUT', `settings: found ${JSON.stringify(name)}, wanted one of ${known}`);
  }
  const choose = <K extends keyof Choices>(name: K): Choices[K][number] => choice(name, given[name]);
  const silence = value('silenceLimitMs', given['silenceLimitMs']);
  return {
    control: controlOf(choose('control'), options),
    legCodec: choose('legCodec'),
    l16ByteOrder: choose('l16ByteOrder'),
    transcoding: choose('transcoding'),
    errorFrames: choose('errorFrames'),
    eventOrder: choose('eventOrder'),
    answerStreams: choose('answerStreams'),
    detection: choose('detection'),
    voiceMethod: choose('voiceMethod'),
    voiceUrlCallbacks: choose('voiceUrlCallbacks'),
    streamCallbacks: choose('streamCallbacks'),
    signingSeed: value('signingSeed', given['signingSeed']),
    silenceLimitMs: silence === undefined ? undefined : Number(silence),
    webhookTimeoutMs: Number(value('webhookTimeoutMs', given['webhookTimeoutMs'])),
  };
}

function controlOf(chosen: Chosen['control'], options: CallOptions): TelnyxSettings['control'] {
  const { order, webhookUrl } = options;
  // An order says itself which kind it is of, whatever the calls of this exchange are otherwise.
  if (order !== undefined) return 'connection_id' in order.fields ? 'call-control' : 'texml';
  if (chosen !== 'by-address') return chosen;
  const path = URL.canParse(webhookUrl) ? new URL(webhookUrl).pathname : '';
  return /^\/events(\/|$)/.test(path) ? 'call-control' : 'texml';
}

function choice<K extends keyof Choices>(name: K, found: string | undefined): Choices[K][number] {
  const values: readonly Choices[K][number][] = CHOICES[name];
  const chosen = found === undefined ? values[0] : values.find((one) => one === found);
  if (chosen !== undefined) return chosen;
  throw new BridgeError(
    'BAD_INPUT',
    `settings.${name}: found ${JSON.stringify(found)}, wanted ${values.join(', ')}`,
  );
}

function value(name: keyof typeof VALUES, found: string | undefined): string | undefined {
  const [form, wanted, fallback] = VALUES[name];
  if (found === undefined) return fallback;
  if (form.test(found)) return found;
  // Not what was found: it may be a key.
  throw new BridgeError('BAD_INPUT', `settings.${name}: found ${found.length} characters, wanted ${wanted}`);
}
