import type { SettingRow } from './settings.ts';

/** Providers that come with the program, in the order in which they are listed. */
export const PROVIDERS = [
  'openai',
  'openai-live',
  'gemini',
  'nova',
  'xai',
  'azure',
  'azure-voice-live',
  'inworld',
  'local',
] as const;
export type ProviderName = (typeof PROVIDERS)[number];

/**
 * Every variable that is read for a provider; `docs/providers.md` has the same rows, which a test checks. A variable that
 * several providers share stands with each of them.
 */
export const PROVIDER_SETTINGS = {
  openai: [
    { name: 'OPENAI_API_KEY', fallback: '', text: 'key of OpenAI or of a compatible server' },
    {
      name: 'OPENAI_BASE_URL',
      fallback: 'wss://api.openai.com/v1/realtime',
      text: 'address of the realtime interface; `ws://` is allowed, and no key is needed with it',
    },
    { name: 'OPENAI_MODEL', fallback: 'gpt-realtime-2.1', text: 'model' },
    { name: 'OPENAI_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
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
    {
      name: 'OPENAI_AUTH',
      fallback: 'bearer',
      text: '`bearer`, or `api-key` for servers that want that header',
    },
    { name: 'OPENAI_HEADERS', fallback: '', text: 'extra request headers, a JSON object of strings' },
    { name: 'OPENAI_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  'openai-live': [
    { name: 'OPENAI_API_KEY', fallback: '', text: 'the same key as for `openai`' },
    {
      name: 'OPENAI_LIVE_BASE_URL',
      fallback: 'wss://api.openai.com/v1/live/sessions',
      text: 'address of the live interface; `ws://` is allowed, and no key is needed with it',
    },
    { name: 'OPENAI_LIVE_MODEL', fallback: 'gpt-live-1', text: 'model' },
    { name: 'OPENAI_LIVE_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
    {
      name: 'OPENAI_LIVE_DELEGATION_MODEL',
      fallback: 'gpt-5.6-luna',
      text: 'model that calls the functions for the voice',
    },
    { name: 'OPENAI_LIVE_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  gemini: [
    { name: 'GEMINI_API_KEY', fallback: '', text: 'key of Google AI Studio' },
    {
      name: 'GEMINI_ACCESS_TOKEN',
      fallback: '',
      text: 'in the place of a key: an ephemeral token of AI Studio, or an OAuth token for Vertex AI',
    },
    { name: 'GEMINI_PLATFORM', fallback: 'studio', text: '`studio` or `vertex`' },
    { name: 'GEMINI_PROJECT', fallback: '', text: 'project at Google Cloud; only for Vertex AI' },
    { name: 'GEMINI_LOCATION', fallback: 'us-central1', text: 'region, or `global`; only for Vertex AI' },
    {
      name: 'GEMINI_BASE_URL',
      fallback: 'that of the platform',
      text: 'address of the host; `ws://` is allowed, and no key is needed with it',
    },
    { name: 'GEMINI_API_VERSION', fallback: 'that of the platform', text: 'such as `v1beta` or `v1alpha`' },
    { name: 'GEMINI_MODEL', fallback: 'gemini-3.8-live', text: 'model' },
    { name: 'GEMINI_VOICE', fallback: 'the model decides', text: 'voice of the agent, such as `Puck`' },
    { name: 'GEMINI_SESSION', fallback: '', text: 'raw fields of `setup` merged last, a JSON object' },
  ],
  nova: [
    { name: 'AWS_REGION', fallback: '', text: 'region of Amazon Bedrock, such as `us-east-1`' },
    { name: 'AWS_ACCESS_KEY_ID', fallback: 'as the AWS SDK finds them', text: 'credentials' },
    { name: 'AWS_SECRET_ACCESS_KEY', fallback: 'as the AWS SDK finds them', text: 'credentials' },
    { name: 'AWS_SESSION_TOKEN', fallback: '', text: 'credentials that are temporary have one' },
    { name: 'AWS_PROFILE', fallback: '', text: 'profile of the files of the AWS command line' },
    {
      name: 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
      fallback: 'that of the region',
      text: 'address of the service; `http://` is allowed. On this machine no credentials are needed',
    },
    { name: 'NOVA_MODEL', fallback: 'amazon.nova-2-sonic-v1:0', text: 'model, or inference profile' },
    { name: 'NOVA_VOICE', fallback: 'matthew', text: 'voice of the agent' },
    {
      name: 'NOVA_SENSITIVITY',
      fallback: 'high',
      text: 'how soon a pause ends the caller’s turn: `high`, `medium` or `low`',
    },
    {
      name: 'NOVA_SESSION',
      fallback: '',
      text: 'raw fields merged last, a JSON object: `{"sessionStart":{…},"promptStart":{…}}`',
    },
  ],
  xai: [
    { name: 'XAI_API_KEY', fallback: '', text: 'key of xAI' },
    {
      name: 'XAI_BASE_URL',
      fallback: 'wss://api.x.ai/v1/realtime',
      text: 'address of the realtime interface; `ws://` is allowed, and no key is needed with it',
    },
    { name: 'XAI_MODEL', fallback: 'grok-voice-latest', text: 'model' },
    { name: 'XAI_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
    { name: 'XAI_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  azure: [
    {
      name: 'AZURE_OPENAI_ENDPOINT',
      fallback: '',
      text: 'address of the resource, such as `https://RESOURCE.openai.azure.com`',
    },
    { name: 'AZURE_OPENAI_API_KEY', fallback: '', text: 'key of the resource' },
    { name: 'AZURE_OPENAI_DEPLOYMENT', fallback: '', text: 'name of the deployment of a realtime model' },
    { name: 'AZURE_OPENAI_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
    { name: 'AZURE_OPENAI_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  'azure-voice-live': [
    {
      name: 'AZURE_VOICE_LIVE_ENDPOINT',
      fallback: '',
      text: 'address of the resource, such as `https://RESOURCE.services.ai.azure.com`',
    },
    { name: 'AZURE_VOICE_LIVE_API_KEY', fallback: '', text: 'key of the resource' },
    { name: 'AZURE_VOICE_LIVE_MODEL', fallback: '', text: 'model' },
    { name: 'AZURE_VOICE_LIVE_API_VERSION', fallback: '2026-07-15', text: 'version of the interface' },
    { name: 'AZURE_VOICE_LIVE_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
    { name: 'AZURE_VOICE_LIVE_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  inworld: [
    { name: 'INWORLD_API_KEY', fallback: '', text: 'key of Inworld, as the portal shows it for `Basic`' },
    {
      name: 'INWORLD_BASE_URL',
      fallback: 'wss://api.inworld.ai/api/v1/realtime/session',
      text: 'address of the realtime interface; `ws://` is allowed, and no key is needed with it',
    },
    { name: 'INWORLD_MODEL', fallback: '', text: 'model' },
    { name: 'INWORLD_VOICE', fallback: 'the model decides', text: 'voice of the agent' },
    { name: 'INWORLD_SESSION', fallback: '', text: 'raw session fields merged last, a JSON object' },
  ],
  local: [],
} as const satisfies Readonly<Record<ProviderName, readonly SettingRow[]>>;
