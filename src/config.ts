import { BridgeError } from './errors.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Every variable that is read; the table in the README has the same rows, which a test checks. */
export const SETTINGS = [
  { name: 'PORT', fallback: '8080', text: 'TCP port; 0 lets the system choose' },
  { name: 'HOST', fallback: '0.0.0.0', text: 'address to listen on' },
  {
    name: 'PUBLIC_URL',
    fallback: 'the address listened on',
    text: 'how carriers reach this service, such as `https://voice.example.com`',
  },
  {
    name: 'LOG_LEVEL',
    fallback: 'info',
    text: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`',
  },
  {
    name: 'API_TOKEN',
    fallback: '',
    text: 'bearer token of operators: without one there are no `/calls`, and `/metrics` is open',
  },
  {
    name: 'AGENTS_FILE',
    fallback: '',
    text: 'YAML or JSON file with agents and their numbers; see [docs/agents.md](docs/agents.md)',
  },
  {
    name: 'DATA_DIR',
    fallback: '.patchcord',
    text: 'folder where reports of calls are kept until they are delivered, and what was spent today',
  },
  { name: 'MAX_CALLS', fallback: '200', text: 'calls at once; one more is answered busy' },
  { name: 'MAX_CALL_SECONDS', fallback: '3600', text: 'longest call' },
  { name: 'SILENCE_SECONDS', fallback: '15', text: 'quiet line after which the caller is asked; 0: never' },
  { name: 'DRAIN_SECONDS', fallback: '300', text: 'how long live calls may go on after SIGTERM' },
  { name: 'PROVIDER', fallback: '`openai` with a key or address, else `local`', text: '`openai` or `local`' },
  { name: 'AGENT_INSTRUCTIONS', fallback: 'a brief, friendly agent', text: 'what the model is told to be' },
  {
    name: 'AGENT_GREETING',
    fallback: 'Hello! How can I help you?',
    text: 'what the agent says first; empty: it waits for the caller',
  },
  {
    name: 'AGENT_LANGUAGE',
    fallback: 'the model decides',
    text: 'ISO 639-1 code of the caller’s language, a hint for transcription',
  },
  {
    name: 'AUDIO_PATH',
    fallback: 'wideband',
    text: '`wideband` (24 kHz PCM16) or `passthrough` (G.711 as it is)',
  },
  { name: 'TWILIO_ACCOUNT_SID', fallback: '', text: 'from the Twilio console; needed to hang up by REST' },
  { name: 'TWILIO_AUTH_TOKEN', fallback: '', text: 'from the Twilio console; checks signatures' },
  { name: 'TWILIO_BASE_URL', fallback: 'https://api.twilio.com', text: 'REST host' },
  {
    name: 'TELNYX_PUBLIC_KEY',
    fallback: '',
    text: 'from the Telnyx portal (keys & credentials); checks signatures',
  },
  {
    name: 'TELNYX_API_KEY',
    fallback: '',
    text: 'needed for Call Control, for transfers and to hang up by REST',
  },
  {
    name: 'TELNYX_CONNECTION_ID',
    fallback: '',
    text: 'id of the Call Control application that places calls',
  },
  {
    name: 'TELNYX_CODEC',
    fallback: 'PCMU',
    text: 'what Telnyx is sent: `PCMU`, `PCMA`, or with Call Control `L16/8000`, `L16/16000` or `L16/24000`; what it sends is its own choice',
  },
  {
    name: 'TELNYX_L16_ORDER',
    fallback: 'detect',
    text: 'byte order of L16: `little`, `big`, or `detect` from the first second',
  },
  { name: 'TELNYX_BASE_URL', fallback: 'https://api.telnyx.com/v2', text: 'REST host' },
  { name: 'PLIVO_AUTH_ID', fallback: '', text: 'from the Plivo console; needed for all requests by REST' },
  { name: 'PLIVO_AUTH_TOKEN', fallback: '', text: 'from the Plivo console; checks signatures' },
  {
    name: 'PLIVO_AUDIO',
    fallback: 'mulaw',
    text: 'both directions at Plivo: `mulaw`, `l16-8000` or `l16-16000`',
  },
  {
    name: 'PLIVO_UPGRADE_SIGNATURE',
    fallback: 'if-present',
    text: '`required` refuses media sockets without a signature, which not every account sends',
  },
  { name: 'PLIVO_BASE_URL', fallback: 'https://api.plivo.com', text: 'REST host' },
  { name: 'OPENAI_API_KEY', fallback: '', text: 'key of OpenAI or of a compatible server' },
  {
    name: 'OPENAI_BASE_URL',
    fallback: 'wss://api.openai.com/v1/realtime',
    text: 'address of the realtime interface; `ws://` is allowed',
  },
  { name: 'OPENAI_MODEL', fallback: 'gpt-realtime-2.1', text: 'model, or Azure deployment' },
  { name: 'OPENAI_VOICE', fallback: 'marin', text: 'voice of the agent' },
  {
    name: 'OPENAI_TRANSCRIPTION_MODEL',
    fallback: 'gpt-transcribe',
    text: 'model that writes down what the caller says; empty: none',
  },
  {
    name: 'OPENAI_DIALECT',
    fallback: 'ga',
    text: '`ga`, or `beta` for servers that still use the old names',
  },
  { name: 'OPENAI_AUTH', fallback: 'bearer', text: '`bearer`, or `api-key` for Azure' },
  { name: 'OPENAI_HEADERS', fallback: '', text: 'extra request headers, a JSON object of strings' },
  { name: 'OPENAI_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
] as const;
type Setting = (typeof SETTINGS)[number]['name'];

const TELNYX_CODECS = ['PCMU', 'PCMA', 'L16/8000', 'L16/16000', 'L16/24000'] as const;

export interface Config {
  readonly port: number;
  readonly host: string;
  readonly publicUrl: string | undefined;
  readonly logLevel: LogLevel;
  readonly apiToken: string | undefined;
  readonly agentsFile: string | undefined;
  readonly dataDir: string;
  readonly maxCalls: number;
  readonly maxCallMs: number;
  readonly silenceMs: number;
  readonly drainMs: number;
  readonly provider: 'openai' | 'local';
  readonly agent: {
    readonly instructions: string | undefined;
    readonly greeting: string | undefined;
    readonly language: string | undefined;
    readonly audio: 'wideband' | 'passthrough';
  };
  readonly twilio: {
    readonly accountSid: string | undefined;
    readonly authToken: string | undefined;
    readonly baseUrl: string | undefined;
  };
  readonly telnyx: {
    readonly publicKey: string | undefined;
    readonly apiKey: string | undefined;
    readonly connectionId: string | undefined;
    readonly codec: (typeof TELNYX_CODECS)[number];
    readonly l16ByteOrder: 'little' | 'big' | 'detect';
    readonly baseUrl: string | undefined;
  };
  readonly plivo: {
    readonly authId: string | undefined;
    readonly authToken: string | undefined;
    readonly audio: 'mulaw' | 'l16-8000' | 'l16-16000';
    readonly requireUpgradeSignature: boolean;
    readonly baseUrl: string | undefined;
  };
  readonly openai: {
    readonly apiKey: string | undefined;
    readonly baseUrl: string | undefined;
    readonly model: string;
    readonly voice: string | undefined;
    /** Undefined: the provider's own choice; empty: none. */
    readonly transcriptionModel: string | undefined;
    readonly dialect: 'ga' | 'beta';
    readonly auth: 'bearer' | 'api-key';
    readonly headers: Readonly<Record<string, string>>;
    readonly session: Readonly<Record<string, unknown>>;
  };
}

/** Environment to a frozen Config. Throws one BAD_CONFIG that names every mistake: variable, found, wanted. */
export function loadConfig(env: Env): Config {
  const read = new Reader(env);
  const openaiKey = read.text('OPENAI_API_KEY');
  const openaiUrl = read.url('OPENAI_BASE_URL', ['ws:', 'wss:']);
  const provider = read.oneOf('PROVIDER', ['openai', 'local'], (openaiKey ?? openaiUrl) ? 'openai' : 'local');
  if (provider === 'openai' && openaiKey === undefined && openaiUrl === undefined) {
    read.bad.push('OPENAI_API_KEY: found nothing, wanted a key because PROVIDER is openai');
  }
  const config: Config = {
    port: read.whole('PORT', 8080, 0, 65_535),
    host: read.text('HOST') ?? '0.0.0.0',
    publicUrl: read.publicUrl(),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    apiToken: read.text('API_TOKEN'),
    agentsFile: read.text('AGENTS_FILE'),
    dataDir: read.text('DATA_DIR') ?? '.patchcord',
    maxCalls: read.whole('MAX_CALLS', 200, 1, 100_000),
    maxCallMs: read.whole('MAX_CALL_SECONDS', 3600, 1, 86_400) * 1000,
    silenceMs: read.whole('SILENCE_SECONDS', 15, 0, 3600) * 1000,
    drainMs: read.whole('DRAIN_SECONDS', 300, 0, 86_400) * 1000,
    provider,
    agent: {
      instructions: read.text('AGENT_INSTRUCTIONS'),
      greeting: env['AGENT_GREETING'],
      language: read.text('AGENT_LANGUAGE'),
      audio: read.oneOf('AUDIO_PATH', ['wideband', 'passthrough'], 'wideband'),
    },
    twilio: {
      accountSid: read.matching('TWILIO_ACCOUNT_SID', /^AC[0-9a-f]{32}$/i, 'AC and 32 hexadecimal digits'),
      authToken: read.secret('TWILIO_AUTH_TOKEN'),
      baseUrl: read.host('TWILIO_BASE_URL'),
    },
    telnyx: {
      publicKey: read.matching(
        'TELNYX_PUBLIC_KEY',
        // The last character of 32 bytes has two bits to spare, which have to be 0.
        /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
        '32 bytes in base64, as the portal shows them',
      ),
      apiKey: read.secret('TELNYX_API_KEY'),
      connectionId: read.secret('TELNYX_CONNECTION_ID'),
      codec: read.oneOf('TELNYX_CODEC', TELNYX_CODECS, 'PCMU'),
      l16ByteOrder: read.oneOf('TELNYX_L16_ORDER', ['little', 'big', 'detect'], 'detect'),
      baseUrl: read.host('TELNYX_BASE_URL'),
    },
    plivo: {
      authId: read.matching('PLIVO_AUTH_ID', /^(MA|SA)[A-Z0-9]{10,40}$/i, 'MA or SA and letters and digits'),
      authToken: read.secret('PLIVO_AUTH_TOKEN'),
      audio: read.oneOf('PLIVO_AUDIO', ['mulaw', 'l16-8000', 'l16-16000'], 'mulaw'),
      requireUpgradeSignature:
        read.oneOf('PLIVO_UPGRADE_SIGNATURE', ['if-present', 'required'], 'if-present') === 'required',
      baseUrl: read.host('PLIVO_BASE_URL'),
    },
    openai: {
      apiKey: openaiKey,
      baseUrl: openaiUrl,
      model: read.text('OPENAI_MODEL') ?? 'gpt-realtime-2.1',
      voice: read.text('OPENAI_VOICE'),
      transcriptionModel: env['OPENAI_TRANSCRIPTION_MODEL'],
      dialect: read.oneOf('OPENAI_DIALECT', ['ga', 'beta'], 'ga'),
      auth: read.oneOf('OPENAI_AUTH', ['bearer', 'api-key'], 'bearer'),
      headers: read.headers('OPENAI_HEADERS'),
      session: read.object('OPENAI_SESSION'),
    },
  };
  read.together('TWILIO_AUTH_TOKEN', ['TWILIO_ACCOUNT_SID']);
  read.together('TELNYX_PUBLIC_KEY', ['TELNYX_API_KEY', 'TELNYX_CONNECTION_ID']);
  read.together('PLIVO_AUTH_TOKEN', ['PLIVO_AUTH_ID']);
  if (read.bad.length > 0) throw new BridgeError('BAD_CONFIG', read.bad.join('; '));
  return deepFreeze(config);
}

/** Reads variables and collects what is wrong with them. An empty variable is one that is not set. */
class Reader {
  readonly bad: string[] = [];
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  text(name: Setting): string | undefined {
    const value = this.#env[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** Something that is sent in a header. */
  secret(name: Setting): string | undefined {
    const text = this.text(name);
    if (text !== undefined && !/^[\x21-\x7e]+$/.test(text))
      this.#wrong(name, text, 'letters and digits only');
    return text;
  }

  whole(name: Setting, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    this.#wrong(name, text, `a whole number from ${min} to ${max}`);
    return fallback;
  }

  oneOf<const T extends string>(name: Setting, values: readonly T[], fallback: T): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = values.find((candidate) => candidate === text);
    if (value === undefined) this.#wrong(name, text, `one of ${values.join(', ')}`);
    return value ?? fallback;
  }

  matching(name: Setting, pattern: RegExp, wanted: string): string | undefined {
    const text = this.text(name);
    if (text !== undefined && !pattern.test(text)) this.#wrong(name, text, wanted);
    return text;
  }

  url(name: Setting, protocols: readonly string[]): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !protocols.includes(url.protocol)) {
      this.#wrong(name, text, `an address that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    return text.replace(/\/+$/, '');
  }

  /** A carrier's REST host: with a path or without, and nothing else, because requests put theirs behind it. */
  host(name: Setting): string | undefined {
    const text = this.url(name, ['https:', 'http:']);
    if (text === undefined || !URL.canParse(text)) return undefined;
    const { username, password, search, hash } = new URL(text);
    if (`${username}${password}${search}${hash}` !== '') {
      this.#wrong(name, text, 'an address without user name, password, ? and #');
    }
    return text;
  }

  /** Whatever of an account is set, its webhooks can only be checked with `needed`. */
  together(needed: Setting, others: readonly Setting[]): void {
    const set = others.filter((name) => this.text(name) !== undefined);
    if (set.length === 0 || this.text(needed) !== undefined) return;
    this.bad.push(`${needed}: found nothing, wanted that of the account of ${set.join(' and ')}`);
  }

  /** Carriers sign and open encrypted addresses only; a plain one is for trying things on this machine. */
  publicUrl(): string | undefined {
    const text = this.url('PUBLIC_URL', ['https:', 'http:']);
    if (text === undefined || !URL.canParse(text)) return undefined;
    const url = new URL(text);
    const local = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
    if (url.protocol === 'http:' && !local)
      this.#wrong('PUBLIC_URL', text, 'https:// (http:// only for this machine)');
    if (url.search !== '' || url.hash !== '') this.#wrong('PUBLIC_URL', text, 'an address without ? and #');
    return text;
  }

  object(name: Setting): Readonly<Record<string, unknown>> {
    const text = this.text(name);
    if (text === undefined) return {};
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    } catch {
      // Said below, with the same words as for JSON that is no object.
    }
    this.bad.push(
      `${name}: found ${text.length} characters that are no JSON object, wanted one such as {"key":"value"}`,
    );
    return {};
  }

  headers(name: Setting): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    for (const [key, value] of Object.entries(this.object(name))) {
      if (typeof value === 'string') headers[key] = value;
      else this.bad.push(`${name}: found a ${typeof value} for ${JSON.stringify(key)}, wanted a string`);
    }
    return headers;
  }

  #wrong(name: Setting, found: string, wanted: string): void {
    // What is pasted into the wrong variable is often a key.
    const secret = /KEY|TOKEN|SID|AUTH_ID/.test(name) || /[?@]/.test(found);
    this.bad.push(
      `${name}: found ${secret ? `${found.length} characters` : JSON.stringify(found)}, wanted ${wanted}`,
    );
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value))
    if (typeof child === 'object' && child !== null) deepFreeze(child);
  return Object.freeze(value);
}
