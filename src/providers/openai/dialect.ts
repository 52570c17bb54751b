import type { AudioFormat } from '../../audio/format.ts';
import type { ConnectRequest, TurnDetection } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';

/** What a session is asked for beside the request. */
export interface SessionChoice {
  readonly dialect: Dialect;
  /** Of this session, where the server is told of it in the session and not in the address. */
  readonly model: string | undefined;
  readonly voice: string | undefined;
  /** What writes down the caller's words; empty: nothing does. */
  readonly transcriptionModel: string;
  /** Raw session fields, merged before those of the request. */
  readonly session: Fields;
}

/** What differs between the servers that speak like OpenAI Realtime, as data: nothing else asks who is at the other end. */
export interface Dialect {
  /** Of the caller and of the agent. */
  readonly formats: readonly AudioFormat[];
  /** The session of a request, complete, without the raw fields. */
  session(request: ConnectRequest, choice: SessionChoice): Fields;
  /** `language`: of the call, where it is known. */
  turnDetection(wanted: TurnDetection, language: string | undefined): Fields;
  /** Type of the agent's words in an item that the client adds. */
  readonly assistantText: 'output_text' | 'text';
  /** Functions can be switched off for one response. */
  readonly quietsFunctions: boolean;
  /**
   * How the agent is made to say a text: the model is told to, or the server speaks it without the model, as an item of
   * its own or as a response that is written already.
   */
  readonly script: 'instructions' | 'force-message' | 'pre-generated';
  /** It is told how much of an answer was heard. */
  readonly truncates: boolean;
  /** A conversation can be gone on with under its id. */
  readonly resumes: boolean;
  /** A response that was overtaken by another one may be left without an end. */
  readonly abandons: boolean;
  /** What the caller said is told several times, each time from the beginning and perhaps corrected. */
  readonly rewritesHeard: boolean;
}
