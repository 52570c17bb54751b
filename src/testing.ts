/**
 * For tests of one's own: recorded calls as tests, and the simulators that Patchcord itself is tested with. These speak
 * the real protocols on real sockets of this machine, and need no key, phone or network.
 */
export type { Edge, Tolerance } from './recording/format.ts';
export type { AudioCause, AudioDifference, Difference, DifferenceKind } from './replay/compare/difference.ts';
export {
  type FaultRule as GeminiFault,
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  type ResponsePlan as GeminiPlan,
  type SimulatedConnection as GeminiConnection,
  startGeminiSimulator,
  type Turn as GeminiTurn,
} from './sim/gemini.ts';
export {
  type FaultRule as NovaFault,
  type NovaSimulator,
  type NovaSimulatorOptions,
  type ResponsePlan as NovaPlan,
  type SimulatedConnection as NovaConnection,
  startNovaSimulator,
  type Turn as NovaTurn,
} from './sim/nova.ts';
export {
  type FaultRule as OpenAiFault,
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type ResponsePlan as OpenAiPlan,
  type SimulatedConnection as OpenAiConnection,
  startOpenAiSimulator,
  type Turn as OpenAiTurn,
} from './sim/openai.ts';
export {
  type FaultRule as OpenAiLiveFault,
  type OpenAiLiveSimulator,
  type OpenAiLiveSimulatorOptions,
  type ResponsePlan as OpenAiLivePlan,
  type SimulatedLiveConnection as OpenAiLiveConnection,
  startOpenAiLiveSimulator,
  type Turn as OpenAiLiveTurn,
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
