/**
 * For tests of one's own: recorded calls as tests, and the simulators that Patchcord itself is tested with. These speak
 * the real protocols on real sockets of this machine, and need no key, phone or network.
 */
export type { Edge, Tolerance } from './recording/format.ts';
export type { AudioCause, AudioDifference, Difference, DifferenceKind } from './replay/compare/difference.ts';
export {
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  startGeminiSimulator,
} from './sim/gemini.ts';
export {
  type NovaSimulator,
  type NovaSimulatorOptions,
  startNovaSimulator,
} from './sim/nova.ts';
export {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  startOpenAiSimulator,
} from './sim/openai.ts';
export {
  type OpenAiLiveSimulator,
  type OpenAiLiveSimulatorOptions,
  startOpenAiLiveSimulator,
} from './sim/openai-live.ts';
export {
  type Callee,
  type CallOptions,
  type CallReport,
  type Exchange,
  type PhoneFaults,
  type SimulatedCall,
  startExchange,
} from './sim/phone.ts';
export {
  type ReplayFixtureOptions,
  type ReplayFixturesOptions,
  type ReplayReport,
  replayFixture,
  replayFixtures,
  type TestFunction,
} from './testing/fixtures.ts';
