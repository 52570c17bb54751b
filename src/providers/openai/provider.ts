import { BridgeError } from '../../errors.ts';
import type {
  ConnectRequest,
  ProviderEvent,
  ProviderFacts,
  ProviderSession,
  RealtimeProvider,
} from '../../provider.ts';
import { type Random, systemRandom } from '../../random.ts';
import { withoutHandles } from '../common/handles.ts';
import { connectError } from '../common/network.ts';
import { type OptionChecks, optionsOf } from '../common/options.ts';
import { SpeechDecoder } from '../common/speech-decoder.ts';
import { type Access, admit, type Ticket } from './access.ts';
import type { Dialect } from './dialect.ts';
import { OpenAiSession, type SessionSetup } from './session.ts';

/** Settings that every provider of this family has. Times are in ms. */
export interface FamilyOptions {
  /** What agents, prices and reports call it; the default is its name in the registry. */
  readonly name?: string | undefined;
  /** For requests that name no voice. */
  readonly voice?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Raw session fields, merged over what the bridge makes; those of a request are merged over these. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** Writes down what the caller says; empty: nothing does. */
  readonly transcriptionModel?: string | undefined;
  /** For dialling and the first `session.updated` together, and as much for a token before; 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** Caller audio that may lie in the socket; 2 s. */
  readonly highWaterMs?: number | undefined;
  /** Caller audio that waits beside a full socket before the oldest is dropped; 2 s. */
  readonly backlogMs?: number | undefined;
  /** How long before the end of the session `expiring` comes; 5 min. */
  readonly expiryMarginMs?: number | undefined;
}

/** What makes one provider of this family out of the options of all. */
export interface FamilyMember {
  readonly name: string;
  readonly facts: ProviderFacts;
  readonly dialect: Dialect;
  readonly access: Access;
  /** Where a session is had; undefined: with the model, or of the conversation, of the options. Throws BAD_CONFIG. */
  address(model: string | undefined, resume: string | undefined, random: Random): URL;
  /** Of sessions that ask for no other. */
  readonly model: string | undefined;
  /** The model is named in the session, not in the address. */
  readonly modelInSession?: boolean;
  /** What writes the caller down, beside this model. */
  transcriber(model: string | undefined): string;
  /** Longest session where it differs from the facts. */
  readonly maxSessionMs?: number | undefined;
  /** A server that names no end of the session ends it after its longest time all the same. */
  readonly endsUnsaid: boolean;
}

/** Throws BAD_CONFIG for options that cannot be used. */
export function familyProvider(
  check: OptionChecks,
  options: FamilyOptions,
  member: FamilyMember,
): RealtimeProvider {
  const { facts, dialect } = member;
  const maxSessionMs =
    member.maxSessionMs === undefined
      ? facts.capabilities.maxSessionMs
      : check.ms('maxSessionMs', member.maxSessionMs, 0, 1);
  const common: CommonSetup = Object.freeze({
    dialect,
    voice: options.voice,
    transcriptionModel: options.transcriptionModel,
    session: options.session ?? {},
    connectTimeoutMs: check.ms('connectTimeoutMs', options.connectTimeoutMs, 10_000, 1),
    highWaterMs: check.ms('highWaterMs', options.highWaterMs, 2_000, 20),
    backlogMs: check.ms('backlogMs', options.backlogMs, 2_000),
    expiryMarginMs: check.ms('expiryMarginMs', options.expiryMarginMs, 5 * 60_000),
    maxSessionMs,
    unsaidSessionMs: member.endsUnsaid ? maxSessionMs : undefined,
    decoder: new SpeechDecoder(),
  });
  // A wrong address is told now and not to the first caller.
  member.address(undefined, undefined, systemRandom);
  return {
    name: options.name ?? member.name,
    capabilities: Object.freeze({
      ...facts.capabilities,
      truncate: facts.capabilities.truncate && dialect.truncates,
      resume: facts.capabilities.resume && dialect.resumes,
      maxSessionMs,
    }),
    usesNetwork: true,
    model: member.model,
    async connect(request, sink, signal) {
      try {
        return await openOrAfresh(member, common, request, sink, signal);
      } catch (thrown) {
        throw connectError(thrown);
      }
    },
  };
}

type CommonSetup = Omit<SessionSetup, 'url' | 'model' | 'headers' | 'scrub' | 'transcriptionModel'> & {
  /** Undefined: as the member has it for the model. */
  readonly transcriptionModel: string | undefined;
};

async function openOrAfresh(
  member: FamilyMember,
  common: CommonSetup,
  request: ConnectRequest,
  sink: (event: ProviderEvent) => void,
  signal: AbortSignal,
): Promise<ProviderSession> {
  const isResumed = member.dialect.resumes && request.resume !== undefined;
  if (!isResumed) return open(member, common, request, sink, signal);
  try {
    return await open(member, common, request, sink, signal);
  } catch (thrown) {
    // A conversation that is not known any more can still be told.
    if (!(thrown instanceof BridgeError) || thrown.code !== 'PROVIDER_CONFIG') throw thrown;
    const message = `the provider does not go on with the conversation: ${thrown.plainMessage}`;
    sink({ type: 'warning', code: 'resume_refused', message });
    return open(member, common, { ...request, resume: undefined }, sink, signal);
  }
}

async function open(
  member: FamilyMember,
  common: CommonSetup,
  request: ConnectRequest,
  sink: (event: ProviderEvent) => void,
  signal: AbortSignal,
): Promise<ProviderSession> {
  const { access, dialect } = member;
  const url = member.address(
    request.model,
    dialect.resumes ? request.resume : undefined,
    request.random ?? systemRandom,
  );
  const model = member.modelInSession ? (request.model ?? member.model) : undefined;
  const transcriptionModel =
    common.transcriptionModel ?? member.transcriber(url.searchParams.get('model') ?? model);
  const go = ({ headers, scrub: withoutKeys }: Ticket): Promise<ProviderSession> => {
    const scrub = (text: string): string => withoutKeys(withoutHandles(text, [request.resume]));
    const setup = { ...common, headers, scrub, url, model, transcriptionModel };
    return OpenAiSession.connect(setup, request, sink, signal);
  };
  if (typeof access !== 'function') return go(access);
  return go(await admit(access, request.clock, common.connectTimeoutMs, signal));
}

/** @param facts of the provider that messages are about */
export function checksOf({ title }: ProviderFacts): OptionChecks {
  return optionsOf(`${title} provider`);
}
