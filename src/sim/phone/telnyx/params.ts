import type { Fault } from './errors.ts';

/** The members of a JSON request. */
export type Body = Readonly<Record<string, unknown>>;

/** What is wrong with one member; undefined: nothing. Only asked about members that are there. */
type Check = (value: unknown, name: string) => Fault | undefined;

/** The members that a command knows, and which of them it cannot do without. */
export interface Params {
  readonly known: Readonly<Record<string, Check>>;
  readonly required: readonly string[];
}

function wrong(name: string, what: string): Fault {
  return {
    code: '10015',
    title: `Invalid value for ${name}`,
    detail: `The value of '${name}' must be ${what}.`,
    pointer: `/${name}`,
  };
}

function outside(name: string, range: string): Fault {
  return {
    code: '10033',
    title: 'Value outside of range',
    detail: `The value is outside of allowed range ${range}`,
    pointer: `/${name}`,
  };
}

function text(most = 10_000): Check {
  return (value, name) => {
    if (typeof value !== 'string') return wrong(name, 'a string');
    return value.length > most ? wrong(name, `at most ${most} characters long`) : undefined;
  };
}

function oneOf(...values: readonly (string | number)[]): Check {
  return (value, name) =>
    values.some((one) => one === value)
      ? undefined
      : {
          code: '10032',
          title: 'Invalid enumerated value',
          detail: `The value must be one of: ${values.join(', ')}.`,
          pointer: `/${name}`,
        };
}

function whole(least: number, most: number): Check {
  return (value, name) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return wrong(name, 'a whole number');
    return value < least || value > most ? outside(name, `${least} to ${most}`) : undefined;
  };
}

const flag: Check = (value, name) => (typeof value === 'boolean' ? undefined : wrong(name, 'true or false'));

const base64: Check = (value, name) => {
  const isGood = typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0;
  return isGood ? undefined : wrong(name, 'a valid Base-64 encoded string');
};

function url(...schemes: readonly string[]): Check {
  return (value, name) => {
    const isGood =
      typeof value === 'string' && URL.canParse(value) && schemes.includes(new URL(value).protocol);
    if (isGood) return undefined;
    const detail = 'The URL provided was invalid, malformed, or too long.';
    return { code: '10003', title: 'Invalid URL', detail, pointer: `/${name}` };
  };
}

const keys: Check = (value, name) =>
  typeof value === 'string' && /^[0-9A-D*#wW]+$/.test(value)
    ? undefined
    : wrong(name, '0-9, A-D, *, #, w or W');

/** A number, a SIP address, or several. */
const party: Check = (value, name) => {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  const isGood = (one: unknown): boolean => typeof one === 'string' && /^(\+\d{3,15}|sips?:\S+)$/.test(one);
  if (all.length > 0 && all.every(isGood)) return undefined;
  return {
    code: '10016',
    title: 'Phone number must be in +E164 format',
    detail: `The '${name}' parameter must be in E164 format.`,
    pointer: `/${name}`,
  };
};

const parameters: Check = (value, name) => {
  const isPair = (one: unknown): boolean =>
    isBody(one) && typeof one['name'] === 'string' && typeof one['value'] === 'string';
  return Array.isArray(value) && value.every(isPair) ? undefined : wrong(name, 'a list of name and value');
};

const anything: Check = () => undefined;

const STATE = { client_state: base64, command_id: text(255) } as const;

const WEBHOOK = {
  webhook_url: url('http:', 'https:'),
  webhook_url_method: oneOf('POST', 'GET'),
  webhook_urls: anything,
  webhook_urls_method: oneOf('POST', 'GET'),
  webhook_retries_policies: anything,
} as const;

const CODECS = ['PCMU', 'PCMA', 'G722', 'OPUS', 'AMR-WB', 'L16'] as const;
const TRACK = oneOf('inbound_track', 'outbound_track', 'both_tracks');

const STREAM = {
  stream_url: url('ws:', 'wss:'),
  stream_track: TRACK,
  stream_codec: oneOf(...CODECS, 'default'),
  stream_bidirectional_mode: oneOf('mp3', 'rtp'),
  stream_bidirectional_codec: oneOf(...CODECS),
  stream_bidirectional_target_legs: oneOf('both', 'self', 'opposite'),
} as const;

const RATE = oneOf(8000, 16_000, 22_050, 24_000, 48_000);
const TOKEN = text(4000);

const RECORD = {
  record: oneOf('record-from-answer'),
  record_channels: oneOf('single', 'dual'),
  record_custom_file_name: text(),
  record_format: oneOf('wav', 'mp3'),
  record_max_length: whole(0, 43_200),
  record_timeout_secs: whole(0, 43_200),
  record_track: oneOf('both', 'inbound', 'outbound'),
  record_trim: oneOf('trim-silence'),
} as const;

const DETECTION = {
  answering_machine_detection: oneOf(
    'premium',
    'detect',
    'detect_beep',
    'detect_words',
    'greeting_end',
    'disabled',
  ),
  answering_machine_detection_config: anything,
} as const;

const SIP = {
  custom_headers: anything,
  sip_headers: anything,
  sip_auth_username: text(),
  sip_auth_password: text(),
  sip_region: anything,
  sip_transport_protocol: oneOf('UDP', 'TCP', 'TLS'),
  media_encryption: oneOf('disabled', 'SRTP', 'DTLS'),
  preferred_codecs: text(),
  from_display_name: text(128),
  sound_modifications: anything,
  privacy: oneOf('id', 'none'),
  diversion: party,
  route_to_mobile: flag,
  send_digits_on_answer: keys,
} as const;

const FILE = { audio_url: url('http:', 'https:'), media_name: text() } as const;
const RING = { timeout_secs: whole(5, 600), time_limit_secs: whole(1, 14_400) } as const;
const LEGS = oneOf('self', 'opposite', 'both');

/** What `POST /v2/calls` takes. */
export const DIAL: Params = {
  known: {
    ...STATE,
    ...WEBHOOK,
    ...STREAM,
    ...RECORD,
    ...DETECTION,
    ...SIP,
    ...FILE,
    ...RING,
    connection_id: text(),
    to: party,
    from: party,
    link_to: text(),
    bridge_intent: flag,
    bridge_on_answer: flag,
    park_after_unbridge: oneOf('self'),
    prevent_double_bridge: flag,
    retry_on_timeout: flag,
    send_silence_when_idle: flag,
    stream_auth_token: TOKEN,
    stream_bidirectional_sampling_rate: RATE,
    stream_establish_before_call_originate: flag,
    billing_group_id: text(),
  },
  required: ['connection_id', 'to', 'from'],
};

/** What each action of a call takes. */
export const ACTIONS = {
  answer: {
    known: {
      ...STATE,
      ...WEBHOOK,
      ...STREAM,
      ...RECORD,
      ...SIP,
      send_silence_when_idle: flag,
      billing_group_id: text(),
    },
    required: [],
  },
  reject: { known: { ...STATE, cause: oneOf('CALL_REJECTED', 'USER_BUSY') }, required: ['cause'] },
  hangup: { known: { ...STATE, custom_headers: anything }, required: [] },
  streaming_start: {
    known: {
      ...STATE,
      ...STREAM,
      stream_auth_token: TOKEN,
      stream_bidirectional_sampling_rate: RATE,
      custom_parameters: parameters,
      enable_dialogflow: flag,
      dialogflow_config: anything,
    },
    required: ['stream_url'],
  },
  streaming_stop: { known: { ...STATE, stream_id: text() }, required: [] },
  transfer: {
    known: {
      ...STATE,
      ...WEBHOOK,
      ...RECORD,
      ...DETECTION,
      ...SIP,
      ...FILE,
      ...RING,
      to: party,
      from: party,
      early_media: flag,
      mute_dtmf: oneOf('none', 'both', 'self', 'opposite'),
      park_after_unbridge: oneOf('self'),
      target_leg_client_state: base64,
    },
    required: ['to'],
  },
  bridge: {
    known: {
      ...STATE,
      ...RECORD,
      call_control_id: text(),
      hold_after_unbridge: flag,
      park_after_unbridge: oneOf('self'),
      play_ringtone: flag,
      prevent_double_bridge: flag,
      mute_dtmf: oneOf('none', 'both', 'self', 'opposite'),
      ringtone: anything,
    },
    required: ['call_control_id'],
  },
  send_dtmf: { known: { ...STATE, digits: keys, duration_millis: whole(100, 500) }, required: ['digits'] },
  record_start: {
    known: {
      ...STATE,
      format: oneOf('wav', 'mp3'),
      channels: oneOf('single', 'dual'),
      custom_file_name: text(),
      max_length: whole(0, 14_400),
      play_beep: flag,
      recording_track: oneOf('both', 'inbound', 'outbound'),
      timeout_secs: whole(0, 14_400),
      trim: oneOf('trim-silence'),
    },
    required: ['format', 'channels'],
  },
  record_stop: { known: { ...STATE, recording_id: text() }, required: [] },
  speak: {
    known: {
      ...STATE,
      payload: text(3000),
      voice: text(),
      language: text(),
      loop: anything,
      payload_type: oneOf('text', 'ssml'),
      service_level: oneOf('basic', 'premium'),
      stop: oneOf('current', 'all'),
      target_legs: LEGS,
      voice_settings: anything,
    },
    required: ['payload', 'voice'],
  },
  playback_start: {
    known: {
      ...STATE,
      ...FILE,
      audio_type: oneOf('mp3', 'wav'),
      cache_audio: flag,
      loop: anything,
      overlay: flag,
      playback_content: base64,
      stop: oneOf('current', 'all'),
      target_legs: LEGS,
    },
    required: [],
  },
  playback_stop: { known: { ...STATE, overlay: flag, stop: oneOf('current', 'all') }, required: [] },
} as const satisfies Readonly<Record<string, Params>>;
export type ActionName = keyof typeof ACTIONS;

/** All that is wrong with a request. */
export function faultsOf(body: Body, { known, required }: Params): readonly Fault[] {
  const faults = required
    .filter((name) => body[name] === undefined || body[name] === null || body[name] === '')
    .map((name) => missing(name));
  for (const [name, value] of Object.entries(body)) {
    // What is null is as good as absent.
    if (value === null || faults.some((fault) => fault.pointer === `/${name}`)) continue;
    const fault = Object.hasOwn(known, name) ? known[name]?.(value, name) : undefined;
    if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

/** A member that a request cannot do without. */
export function missing(name: string): Fault {
  return {
    code: '10004',
    title: 'Missing required parameter',
    detail: `The '${name}' parameter is required and cannot be blank.`,
    pointer: `/${name}`,
  };
}

/** What the real carrier does and the simulated one does not. */
const WITHOUT_EFFECT: readonly string[] = [
  'webhook_urls',
  'webhook_retries_policies',
  'stream_establish_before_call_originate',
  'enable_dialogflow',
  'send_digits_on_answer',
  'hold_after_unbridge',
  'record_max_length',
  'max_length',
];

/**
 * Warns of members that no documentation names, which a real carrier ignores, and of those that have no effect here.
 * `what` is the command.
 */
export function warnOfNames(
  log: { warn(code: string, text: string): void },
  what: string,
  body: Body,
  { known }: Params,
): void {
  for (const name of Object.keys(body)) {
    if (!Object.hasOwn(known, name)) log.warn('unknown_parameter', `${what} has no parameter ${name}`);
    else if (WITHOUT_EFFECT.includes(name))
      log.warn('not_simulated', `${name} of ${what} has no effect here`);
  }
  if (body['webhook_url_method'] === 'GET')
    log.warn('not_simulated', 'events are sent by POST and never by GET');
}

/** An object and no list. */
export function isBody(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is text; undefined for anything else and for nothing. */
export function textOf(body: Body, name: string): string | undefined {
  const value = body[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
