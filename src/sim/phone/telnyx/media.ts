import { randomUUID } from 'node:crypto';
import type { Cancel } from '../../../clock.ts';
import type { CallHandle, StreamPlan } from '../carrier-sim.ts';
import { streamAddressFault } from '../stream-address.ts';
import { resolveUrl, type StreamVerb } from '../verbs.ts';
import type { WireFormat } from '../wire-audio.ts';
import { CODES } from './codes.ts';
import { type LegFacts, TelnyxDialect } from './dialect.ts';
import type { TelnyxSettings } from './settings.ts';

/** A codec by Telnyx's name; the rate in samples per second is that of L16. */
interface Codec {
  readonly name: string;
  readonly rate: number;
}

const WIRE_RATES = [8000, 16000, 24000] as const;
const G711: readonly string[] = ['PCMU', 'PCMA'];
/** Compressed into frames that cannot be cut: their length says nothing of how long they sound. */
const UNHEARD: readonly string[] = ['OPUS', 'AMR-WB'];
const UNHEARD_FORMAT: WireFormat = { encoding: 'g722', rate: 8000 };

/** Opens the streams of one leg, and watches over them. */
export class MediaSide {
  readonly #call: CallHandle;
  readonly #settings: TelnyxSettings;
  readonly #leg: LegFacts;
  #cancelLimit: Cancel | undefined;

  constructor(call: CallHandle, settings: TelnyxSettings, leg: LegFacts) {
    this.#call = call;
    this.#settings = settings;
    this.#leg = leg;
  }

  /**
   * How a stream is opened that a document or a command asks for. The settings of `verb` have the names of the attributes
   * of TeXML, and `authToken`, `targetLegs` for what only Call Control has.
   */
  plan(verb: StreamVerb, baseUrl: string): StreamPlan {
    const call = this.#call;
    const settings = this.#settings;
    const url = resolveUrl(verb.url, baseUrl.replace(/^http/i, 'ws'), CODES);
    const streamId = randomUUID();
    const { settings: asked, parameters } = verb;
    const codec = legCodec(settings, asked['codec']);
    const taken = {
      name: asked['bidirectionalCodec'] ?? 'PCMU',
      rate: Number(asked['bidirectionalSamplingRate'] ?? 8000),
    };
    const token = tokenAsSent(call, asked['authToken']);
    const takes = wireFormat(taken, settings);
    warnOf(call, verb, taken, takes);
    return {
      url,
      streamId,
      failure: failureOf(url),
      headers: () => upgradeHeaders(token),
      subprotocol: undefined,
      sends: wireFormat(codec, settings) ?? UNHEARD_FORMAT,
      takes: takes ?? UNHEARD_FORMAT,
      marksOnClear: 'echoed',
      reopen: asked['enableReconnect'] === 'true' ? { times: 1, delayMs: 1000 } : { times: 0, delayMs: 0 },
      dialect: () =>
        new TelnyxDialect({
          call,
          leg: this.#leg,
          streamId,
          token,
          parameters,
          codec,
          errorFrames: settings.errorFrames,
          isMp3: (asked['bidirectionalMode'] ?? 'mp3') === 'mp3',
          isOpposite: asked['targetLegs'] === 'opposite',
          bytesPerMs: taken.name === 'L16' ? taken.rate / 500 : 8,
          isMeasured: !UNHEARD.includes(taken.name),
          heard: () => this.ended(),
        }),
    };
  }

  /** A `start` was sent: from now on the bridge has to be heard. */
  started(): void {
    const { silenceLimitMs } = this.#settings;
    if (silenceLimitMs === undefined) return;
    this.#cancelLimit = this.#call.clock.after(silenceLimitMs, () => {
      this.#call.log.warn('normal_clearing', `no audio of the bridge for ${silenceLimitMs} ms after start`);
      this.#call.hangUp('carrier');
    });
  }

  /** The stream is over, or the bridge has been heard. */
  ended(): void {
    this.#cancelLimit?.();
    this.#cancelLimit = undefined;
  }
}

/** What the bridge is sent: what it asks for where Telnyx can make it of what the leg speaks, else that. */
function legCodec(settings: TelnyxSettings, asked: string | undefined): Codec {
  const [name = '', rate = '8000'] = settings.legCodec.split('/');
  const leg = { name, rate: Number(rate) };
  if (asked === undefined || asked === 'default' || asked === name) return leg;
  const both = G711.includes(asked) && G711.includes(name);
  const can = settings.transcoding === 'all' && !UNHEARD.includes(asked);
  return both || can ? { name: asked, rate: asked === 'L16' ? 16_000 : 8000 } : leg;
}

function wireFormat({ name, rate }: Codec, { l16ByteOrder }: TelnyxSettings): WireFormat | undefined {
  switch (name) {
    case 'PCMU':
      return { encoding: 'mulaw', rate: 8000 };
    case 'PCMA':
      return { encoding: 'alaw', rate: 8000 };
    case 'G722':
      return { encoding: 'g722', rate: 8000 };
    case 'L16': {
      const known = WIRE_RATES.find((one) => one === rate);
      return known && { encoding: 'l16', rate: known, byteOrder: l16ByteOrder };
    }
    default:
      return undefined;
  }
}

function warnOf(call: CallHandle, verb: StreamVerb, taken: Codec, takes: WireFormat | undefined): void {
  const { log } = call;
  const mode = verb.settings['bidirectionalMode'];
  if (mode === undefined || mode === 'mp3') {
    log.warn('mp3_mode', 'the stream takes MP3, which is the default: raw audio of the bridge is dropped');
  }
  if (takes === undefined || takes.encoding === 'g722') {
    const what = taken.name === 'L16' ? `L16 at ${taken.rate} Hz` : taken.name;
    log.warn('not_simulated', `audio of the bridge in ${what} is heard as silence`);
  }
  if (verb.track !== undefined && verb.track !== 'inbound_track') {
    log.warn('not_simulated', `of track ${verb.track} only what the caller says is sent`);
  }
}

function failureOf(url: string): readonly [string, string] | undefined {
  switch (streamAddressFault(url)) {
    case 'malformed':
      return [CODES['bad-address'], 'the stream address is malformed'];
    case 'not-secure':
      return [CODES['bad-address'], 'the scheme of the stream address must be wss'];
    case undefined:
      return undefined;
  }
}

function tokenAsSent({ faults }: CallHandle, token: string | undefined): string | undefined {
  switch (faults.upgradeSignature) {
    case 'missing':
      return undefined;
    case 'bad':
      return token === undefined ? undefined : `${token}x`;
    default:
      return token;
  }
}

function upgradeHeaders(token: string | undefined): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'telnyx-streaming' };
  if (token !== undefined) headers['x-telnyx-streaming-auth-token'] = token;
  return headers;
}
