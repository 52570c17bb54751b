/** The library: a bridge to embed in a service of one's own, and the contracts to extend it. */
export {
  type Agent,
  type AgentDigits,
  type AgentProvider,
  type AgentText,
  type Clip,
  type DigitContext,
  type FillerPolicy,
  lineCheckAgent,
  voiceAgent,
} from './agents.ts';
export type { AudioFormat } from './audio/format.ts';
export {
  type AudioStream,
  type AudioStreamOptions,
  type OnFunctionCall,
  processAudioStream,
  type SpokenAudio,
  type SpokenText,
} from './audio-stream.ts';
export type { BridgeOptions } from './bridge-options.ts';
export { type CallEvent, type CallObserver, END_REASONS, type EndReason } from './call-events.ts';
export {
  CARRIERS,
  type CallOutcome,
  type Carrier,
  type CarrierName,
  type ControlResult,
  type MachineResult,
  type Transfer,
} from './carrier.ts';
export { type Clock, systemClock } from './clock.ts';
export { type Config, type Env, loadConfig } from './config.ts';
export { BridgeError, ERRORS, type ErrorCode } from './errors.ts';
export { type BreakerReport, Breakers } from './fallback/breakers.ts';
export type { FailoverPolicy, GapFillerPolicy } from './fallback/policy.ts';
export type {
  ConnectRequest,
  HeardItem,
  HistoryItem,
  ProviderCapabilities,
  ProviderEvent,
  ProviderFacts,
  ProviderSession,
  RealtimeProvider,
  TextOptions,
  ToolDefinition,
  ToolResult,
  TurnDetection,
  Usage,
} from './provider.ts';
export { type ProviderHooks, withHooks } from './provider-hooks.ts';
export {
  defineProvider,
  type ProviderDefinition,
  type ProviderEntry,
} from './provider-registry.ts';
export { createGeminiProvider } from './providers/gemini.ts';
export { createLocalProvider } from './providers/local.ts';
export { createNovaProvider } from './providers/nova.ts';
export { createOpenAiProvider } from './providers/openai.ts';
export { createOpenAiLiveProvider } from './providers/openai-live.ts';
export {
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from './providers/openai-relatives.ts';
export type { Outlook } from './roster.ts';
export { type Bridge, createBridge } from './server.ts';
export {
  collectDigits,
  currentTime,
  type Destination,
  endCall,
  leaveMessage,
  sendDigits,
  transferCall,
} from './tools/built-in.ts';
export {
  type CallHandle,
  type CollectedDigits,
  type DigitWish,
  defineTool,
  type Tool,
  type ToolContext,
  type ToolOptions,
  type TypedToolOptions,
} from './tools.ts';
export type { TranscriptEntry } from './transcript.ts';
