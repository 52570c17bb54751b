import { randomUUID } from 'node:crypto';
import type { CallHandle, StreamPlan } from '../carrier-sim.ts';
import { streamAddressFault } from '../stream-address.ts';
import type { StreamVerb } from '../verbs.ts';
import { WIRE_MULAW, type WireFormat } from '../wire-audio.ts';
import { PlivoDialect, type StreamFormat } from './dialect.ts';
import type { PlivoSettings } from './settings.ts';

const REOPEN = { times: 2, delayMs: 1000 } as const;
/** 30, 60 and 90 percent of what Plivo holds for the caller, which is about 40 s. */
const AHEAD_MS: readonly number[] = [12_000, 24_000, 36_000];

/** Plivo's own words for streams that cannot be opened do not exist; these are ours. */
const BAD_STREAM = 'bad_stream';

/** Without a content type it is not mu-law. */
const FORMATS: Readonly<Record<string, StreamFormat>> = {
  'audio/x-l16;rate=8000': { encoding: 'audio/x-l16', rate: 8000 },
  'audio/x-l16;rate=16000': { encoding: 'audio/x-l16', rate: 16000 },
  'audio/x-mulaw;rate=8000': { encoding: 'audio/x-mulaw', rate: 8000 },
};
const DEFAULT_FORMAT: StreamFormat = { encoding: 'audio/x-l16', rate: 8000 };

/** How one media socket is opened. `url` is absolute; its query is kept and signed. */
export function planStream(
  verb: StreamVerb,
  url: string,
  terms: {
    readonly call: CallHandle;
    readonly settings: PlivoSettings;
    headers(url: string): Readonly<Record<string, string>>;
  },
): StreamPlan {
  const { call, settings } = terms;
  const { contentType, bidirectional } = verb.settings;
  const named =
    contentType === undefined ? DEFAULT_FORMAT : FORMATS[contentType.replaceAll(' ', '').toLowerCase()];
  const format = named ?? DEFAULT_FORMAT;
  const isBidirectional = bidirectional === 'true';
  const streamId = randomUUID();
  return {
    url,
    streamId,
    failure: failureOf(verb, url, named !== undefined),
    headers: () => terms.headers(url),
    subprotocol: settings.subprotocol === 'none' ? undefined : settings.subprotocol,
    sends: wireFormat(format),
    takes: wireFormat(format),
    marksOnClear: 'dropped',
    reopen: REOPEN,
    aheadMs: AHEAD_MS,
    dialect: () =>
      new PlivoDialect({
        call,
        settings,
        streamId,
        format,
        isBidirectional,
        extraHeaders: verb.parameters,
      }),
  };
}

function wireFormat({ encoding, rate }: StreamFormat): WireFormat {
  return encoding === 'audio/x-mulaw' ? WIRE_MULAW : { encoding: 'l16', rate, byteOrder: 'little' };
}

function failureOf(verb: StreamVerb, url: string, isKnown: boolean): readonly [string, string] | undefined {
  const { settings, track } = verb;
  switch (streamAddressFault(url)) {
    case 'malformed':
      return [BAD_STREAM, 'the address of the stream is malformed'];
    case 'not-secure':
      return [BAD_STREAM, 'the scheme of the address of the stream must be wss'];
    case undefined:
      break;
  }
  if (!isKnown)
    return [BAD_STREAM, `the content type ${JSON.stringify(settings['contentType'])} is not known`];
  if (track !== undefined && !['inbound', 'outbound', 'both'].includes(track)) {
    return [BAD_STREAM, `there is no audioTrack ${JSON.stringify(track)}`];
  }
  if (track !== undefined && track !== 'inbound' && settings['bidirectional'] === 'true') {
    return [BAD_STREAM, 'a bidirectional stream has the inbound track only'];
  }
  return undefined;
}
