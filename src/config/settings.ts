/** One variable of the environment, as the documentation has it. */
export interface SettingRow {
  readonly name: string;
  /** What holds when it is not set; empty: nothing. In Markdown, like `text`. */
  readonly fallback: string;
  readonly text: string;
}

/** Every variable that is read but those of the providers; the table in the README has the same rows, which a test checks. */
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
    name: 'TRACES',
    fallback: 'auto',
    text: 'spans of calls for OpenTelemetry: `on`, `off`, or `auto`: where its variables name an exporter; see [docs/observability.md](docs/observability.md)',
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
  {
    name: 'RECORDING',
    fallback: 'off',
    text: 'who records the calls of agents that do not say: `off`, `bridge` (this service), `carrier` or `both`; see [docs/recordings.md](docs/recordings.md)',
  },
  {
    name: 'RECORDINGS_DIR',
    fallback: '`recordings` in `DATA_DIR`',
    text: 'folder of what this service records',
  },
  { name: 'RECORDINGS_MAX_DAYS', fallback: '30', text: 'older recordings are removed; 0: never' },
  {
    name: 'RECORDINGS_MAX_GB',
    fallback: '10',
    text: 'the oldest recordings are removed when there are more; 0: never',
  },
  {
    name: 'RECORDINGS_MIN_FREE_GB',
    fallback: '1',
    text: 'nothing is recorded while less is free on the disk; calls go on',
  },
  { name: 'MAX_CALLS', fallback: '200', text: 'calls at once; one more is answered busy' },
  {
    name: 'WORKERS',
    fallback: '1',
    text: 'processes that calls are spread over: a number, or `auto` for one per core; see [docs/workers.md](docs/workers.md)',
  },
  { name: 'MAX_CALL_SECONDS', fallback: '3600', text: 'longest call' },
  { name: 'SILENCE_SECONDS', fallback: '15', text: 'quiet line after which the caller is asked; 0: never' },
  { name: 'DRAIN_SECONDS', fallback: '300', text: 'how long live calls may go on after SIGTERM' },
  {
    name: 'PROVIDER',
    fallback: 'the first that is configured, else `local`',
    text: 'the model that takes the calls, or several in the order in which they are tried, such as `openai,gemini`: `openai`, `openai-live`, `gemini`, `nova`, `xai`, `azure`, `azure-voice-live`, `inworld` or `local`; each has settings of its own, see [docs/providers.md](docs/providers.md)',
  },
  {
    name: 'FAILOVER_CONNECT_SECONDS',
    fallback: '5',
    text: 'how long a provider may take to be ready for a call',
  },
  {
    name: 'FAILOVER_HEDGE_SECONDS',
    fallback: '2',
    text: 'the next provider is dialled beside one that is not ready by then; 0: never',
  },
  {
    name: 'FAILOVER_ANSWER_SECONDS',
    fallback: '8',
    text: 'a provider that keeps still for so long when it is its turn is given up; 0: never',
  },
  {
    name: 'LAST_RESORT_TRANSFER',
    fallback: '',
    text: 'when no provider is left, the caller is put through to this number or `sip:` address',
  },
  {
    name: 'LAST_RESORT_MESSAGE',
    fallback: '',
    text: 'in its place: what the carrier says before it records a message of the caller',
  },
  {
    name: 'LAST_RESORT_SAY',
    fallback: 'an apology',
    text: 'in its place: what the carrier says before it hangs up',
  },
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
    name: 'TWILIO_FALLBACK_URL',
    fallback: '',
    text: 'where Twilio goes on with a call that was placed when this service has no answer, such as a TwiML Bin; numbers have a setting of their own in the console',
  },
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
  {
    name: 'PLIVO_FALLBACK_URL',
    fallback: '',
    text: 'the same at Plivo, such as an XML document on a web server',
  },
] as const satisfies readonly SettingRow[];
