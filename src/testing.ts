/**
 * For tests of one's own: the simulators that Patchcord itself is tested with. They speak the real protocols on real
 * sockets of this machine, and need no key, phone or network.
 */
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
