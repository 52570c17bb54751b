import type { IncomingMessage } from 'node:http';
import type { DialectName } from './dialect.ts';
import type { SessionConfig } from './session-config.ts';

/** Why an upgrade is answered with something other than a 101. */
export interface HttpRefusal {
  readonly status: number;
  readonly message: string;
}

/** What an upgrade asks for. */
export interface Wish {
  readonly model: string;
  readonly type: SessionConfig['type'];
  /** Id of a conversation to go on with. */
  readonly resume?: string | undefined;
}

/** One path on which a server of the family is found. */
export interface Door {
  /** Undefined: what the simulator is asked to speak. */
  readonly dialect: DialectName | undefined;
  wish(url: URL): Wish | HttpRefusal;
  /** The key that the client shows; undefined: none. */
  key(request: IncomingMessage, url: URL): string | undefined;
  /** A wrong key or model is answered by a status, not by an event after the 101. */
  readonly refusesByStatus: boolean;
}

/** Where OpenAI is, and what has taken over its path. */
export const MAIN_PATH = '/v1/realtime';

const KEY_PROTOCOL = 'openai-insecure-api-key.';

/** Subprotocols that the client offers. */
export function protocolsOf(request: IncomingMessage): readonly string[] {
  return String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
}

function schemeKey(request: IncomingMessage, scheme: 'Bearer' | 'Basic'): string | undefined {
  const [given, key, ...more] = (request.headers.authorization ?? '').trim().split(/\s+/);
  return given?.toLowerCase() === scheme.toLowerCase() && more.length === 0 ? key : undefined;
}

function azureKey(request: IncomingMessage, url: URL): string | undefined {
  const header = request.headers['api-key'];
  return (
    (typeof header === 'string' ? header : undefined) ??
    url.searchParams.get('api-key') ??
    schemeKey(request, 'Bearer')
  );
}

const NO_MODEL: HttpRefusal = {
  status: 400,
  message: "You must provide a model parameter, or the intent 'transcription'.",
};

function mainWish(url: URL): Wish | HttpRefusal {
  const model = url.searchParams.get('model');
  const intent = url.searchParams.get('intent');
  const callId = url.searchParams.get('call_id');
  if ([model, intent, callId].filter((value) => value !== null).length !== 1) {
    return { status: 400, message: "Pass exactly one of 'model', 'intent' and 'call_id'." };
  }
  if (callId !== null) return { status: 404, message: `No call with the id '${callId}'.` };
  const resume = url.searchParams.get('conversation_id') ?? undefined;
  if (model !== null && model !== '') return { model, type: 'realtime', resume };
  return intent === 'transcription' ? { model: '', type: 'transcription' } : NO_MODEL;
}

/** Wants each of these parameters, the first of which names the model. */
function namedBy(...names: readonly [string, ...string[]]): Door['wish'] {
  return (url) => {
    const missing = names.find((name) => (url.searchParams.get(name) ?? '') === '');
    if (missing !== undefined)
      return { status: 400, message: `The query parameter '${missing}' is missing.` };
    return { model: url.searchParams.get(names[0]) ?? '', type: 'realtime' };
  };
}

function voiceLiveWish(url: URL): Wish | HttpRefusal {
  const isAgent = url.searchParams.has('agent-name');
  const named = isAgent
    ? namedBy('agent-name', 'agent-project-name', 'api-version')
    : namedBy('model', 'api-version');
  return named(url);
}

/** Every path, and who is behind it. */
export const DOORS: Readonly<Record<string, Door>> = {
  [MAIN_PATH]: {
    dialect: undefined,
    wish: mainWish,
    key: (request) =>
      schemeKey(request, 'Bearer') ??
      protocolsOf(request)
        .find((protocol) => protocol.startsWith(KEY_PROTOCOL))
        ?.slice(KEY_PROTOCOL.length),
    refusesByStatus: false,
  },
  '/openai/v1/realtime': { dialect: 'ga', wish: namedBy('model'), key: azureKey, refusesByStatus: true },
  '/openai/realtime': {
    dialect: 'beta',
    wish: namedBy('deployment', 'api-version'),
    key: azureKey,
    refusesByStatus: true,
  },
  '/voice-live/realtime': {
    dialect: 'voice-live',
    wish: voiceLiveWish,
    key: azureKey,
    refusesByStatus: true,
  },
  '/api/v1/realtime/session': {
    dialect: 'inworld',
    // The model is named in the session.
    wish: (url) => {
      const found = namedBy('key', 'protocol')(url);
      return 'status' in found ? found : { ...found, model: '' };
    },
    key: (request) => schemeKey(request, 'Basic'),
    refusesByStatus: true,
  },
};

/** The path of a server that has one of its own. */
export function pathOf(dialect: DialectName): string {
  if (dialect === 'beta' || dialect === 'ga') return MAIN_PATH;
  return Object.keys(DOORS).find((path) => DOORS[path]?.dialect === dialect) ?? MAIN_PATH;
}
