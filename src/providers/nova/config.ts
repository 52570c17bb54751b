import { type AudioFormat, formatName, RATES, sameFormat } from '../../audio/format.ts';
import { BridgeError } from '../../errors.ts';
import type { ConnectRequest, ToolDefinition, TurnDetection } from '../../provider.ts';
import { type Fields, fieldsOf, merged, settingsText } from '../common/fields.ts';
import { instructions } from '../common/instructions.ts';
import { FORMATS } from './facts.ts';
import { outputConfiguration } from './input.ts';

/** How long the service waits for the caller to go on: `HIGH` waits for the shortest time, see `WAITS_MS`. */
export type EndpointingSensitivity = 'HIGH' | 'MEDIUM' | 'LOW';

/** How long the caller's pause is that ends a turn, by level, in ms. */
export type WaitsMs = Readonly<Record<EndpointingSensitivity, number>>;

/** About; only that of `HIGH` is documented (Nova 2 user guide), so they are an option: `NovaOptions.waitsMs`. */
export const WAITS_MS: WaitsMs = Object.freeze({ HIGH: 1_500, MEDIUM: 1_750, LOW: 2_000 });

export type ToolChoice = 'auto' | 'any' | { readonly tool: string };

export interface SessionChoice {
  readonly voice: string;
  readonly sensitivity: EndpointingSensitivity;
  readonly waitsMs: WaitsMs;
  readonly maxTokens: number;
  readonly topP: number;
  readonly temperature: number;
  readonly toolChoice: ToolChoice;
  readonly inputRate: AudioFormat['rate'];
  readonly outputRate: AudioFormat['rate'];
  /** Raw fields of `sessionStart` and `promptStart`, merged before those of the request. */
  readonly session: Fields;
}

/** The fields of the two events that open a session, and what they mean for the audio. */
export interface SessionShape {
  readonly sessionStart: Fields;
  readonly promptStart: Fields;
  readonly input: AudioFormat;
  readonly output: AudioFormat;
}

function pick(request: ConnectRequest, rate: AudioFormat['rate']): AudioFormat {
  const wanted = request.preferredFormats.find((format) => FORMATS.some((ours) => sameFormat(ours, format)));
  return wanted ?? { encoding: 'pcm16', rate };
}

const BY_EAGERNESS = { high: 'HIGH', medium: 'MEDIUM', low: 'LOW' } as const;

/** The level whose wait comes nearest to what an agent asks for; it has no other way to say it. */
function sensitivity(turn: TurnDetection, choice: SessionChoice): EndpointingSensitivity {
  if (turn.eagerness !== undefined && turn.eagerness !== 'auto') return BY_EAGERNESS[turn.eagerness];
  if (turn.silenceMs === undefined) return choice.sensitivity;
  const { HIGH, MEDIUM, LOW } = choice.waitsMs;
  if (turn.silenceMs < (HIGH + MEDIUM) / 2) return 'HIGH';
  return turn.silenceMs < (MEDIUM + LOW) / 2 ? 'MEDIUM' : 'LOW';
}

function toolSpec({ name, description, parameters }: ToolDefinition): Fields {
  return { toolSpec: { name, description, inputSchema: { json: settingsText(parameters) } } };
}

function toolChoice(choice: ToolChoice): Fields {
  if (typeof choice === 'object') return { tool: { name: choice.tool } };
  return choice === 'any' ? { any: {} } : { auto: {} };
}

// A tool configuration without tools is refused.
function toolConfiguration(tools: readonly ToolDefinition[], choice: ToolChoice): Fields {
  if (tools.length === 0) return {};
  return {
    toolUseOutputConfiguration: { mediaType: 'application/json' },
    toolConfiguration: { tools: tools.map(toolSpec), toolChoice: toolChoice(choice) },
  };
}

function outputFormat(promptStart: Fields): AudioFormat {
  const found = fieldsOf(promptStart['audioOutputConfiguration'])['sampleRateHertz'];
  const rate = RATES.find((known) => known === found);
  if (rate !== undefined) return { encoding: 'pcm16', rate };
  throw new BridgeError(
    'PROVIDER_CONFIG',
    `the session asks for speech at ${typeof found === 'number' ? found : 'no number of'} Hz, wanted ${FORMATS.map(formatName).join(', ')}`,
  );
}

/**
 * What a session is opened with: complete, with the raw overrides of the options and of the request on top, both of the
 * form `{"sessionStart": {…}, "promptStart": {…}}`. Throws PROVIDER_CONFIG for audio that nothing here can read.
 */
export function buildSession(request: ConnectRequest, choice: SessionChoice): SessionShape {
  const { maxTokens, topP, temperature } = choice;
  const input = pick(request, choice.inputRate);
  const voice = request.voice ?? choice.voice;
  const own = {
    sessionStart: {
      inferenceConfiguration: { maxTokens, topP, temperature },
      turnDetectionConfiguration: {
        endpointingSensitivity: sensitivity(request.turnDetection, choice),
      },
    },
    promptStart: {
      ...outputConfiguration({ output: pick(request, choice.outputRate), voice }),
      ...toolConfiguration(request.tools, choice.toolChoice),
    },
  };
  const fields = merged(merged(own, choice.session), request.overrides);
  const promptStart = fieldsOf(fields['promptStart']);
  return {
    sessionStart: fieldsOf(fields['sessionStart']),
    promptStart,
    input,
    output: outputFormat(promptStart),
  };
}

/** How the model is to take what only we can tell it: it knows no other place for that than the caller's own turns. */
const ABOUT_NOTES =
  'This is a telephone call. Text in square brackets comes from the telephone system, not from the caller: ' +
  'do what it says and never read the brackets aloud.';

/** The one SYSTEM text, which must be the first content of a session and must not be empty. */
export function systemText(request: ConnectRequest, notes: readonly string[]): string {
  return [instructions(request), ABOUT_NOTES, ...notes].filter((part) => part !== '').join('\n\n');
}
