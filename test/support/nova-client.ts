import {
  BedrockRuntimeClient,
  InvokeModelWithBidirectionalStreamCommand,
  type InvokeModelWithBidirectionalStreamInput,
} from '@aws-sdk/client-bedrock-runtime';
import {
  type NovaEvent,
  type NovaSimulator,
  type NovaSimulatorOptions,
  type SimulatedConnection,
  startNovaSimulator,
} from '../../src/sim/nova.ts';

export const MODEL = 'amazon.nova-2-sonic-v1:0';
export const PROMPT = 'prompt-1';
export const AUDIO = 'audio-1';

/** Without one the SDK writes every error of a stream to the console. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** How the stream ended, as the SDK shows it. */
export interface StreamEnd {
  readonly error: Error | undefined;
}

/** A plain client on the AWS SDK: what it sends is what the test says, what it got can be waited for. */
export class NovaClient {
  readonly events: NovaEvent[] = [];
  /** Resolves with the first event, for the SDK waits for one; rejects with the SDK's typed error. */
  readonly answered: Promise<void>;
  readonly ended: Promise<StreamEnd>;
  readonly abort = new AbortController();
  readonly #client: BedrockRuntimeClient;
  readonly #queue: string[] = [];
  #wake: (() => void) | undefined;
  #isDone = false;
  #end: StreamEnd | undefined;
  readonly #waiters: {
    readonly accept: (event: NovaEvent) => boolean;
    readonly resolve: (event: NovaEvent) => void;
    readonly reject: (error: Error) => void;
  }[] = [];

  constructor(url: string, options: { accessKeyId?: string; model?: string } = {}) {
    this.#client = new BedrockRuntimeClient({
      region: 'us-east-1',
      logger: QUIET,
      endpoint: url,
      credentials: { accessKeyId: options.accessKeyId ?? 'AKIATEST', secretAccessKey: 'secret' },
    });
    const command = new InvokeModelWithBidirectionalStreamCommand({
      modelId: options.model ?? MODEL,
      body: this.#input(),
    });
    const sending = this.#client.send(command, { abortSignal: this.abort.signal });
    this.answered = sending.then(() => {});
    this.answered.catch(() => {});
    this.ended = sending.then(({ body }) => this.#read(body)).catch((error: Error) => this.#over(error));
  }

  async *#input(): AsyncGenerator<InvokeModelWithBidirectionalStreamInput> {
    for (;;) {
      for (let json = this.#queue.shift(); json !== undefined; json = this.#queue.shift()) {
        yield { chunk: { bytes: Buffer.from(json) } };
      }
      if (this.#isDone) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async #read(
    body: AsyncIterable<{ chunk?: { bytes?: Uint8Array | undefined } | undefined }> | undefined,
  ): Promise<StreamEnd> {
    for await (const { chunk } of body ?? []) {
      if (chunk?.bytes !== undefined) this.#take(Buffer.from(chunk.bytes).toString());
    }
    return this.#over(undefined);
  }

  #over(error: Error | undefined): StreamEnd {
    this.#end = { error };
    const what = error?.message ?? 'without an error';
    for (const { reject } of this.#waiters.splice(0)) reject(new Error(`the stream ended first: ${what}`));
    return this.#end;
  }

  #take(json: string): void {
    let event: NovaEvent = { type: 'malformed', body: { json } };
    try {
      const [[type, body] = ['empty', {}]] = Object.entries(JSON.parse(json).event);
      event = { type, body: body as NovaEvent['body'] };
    } catch {}
    this.events.push(event);
    for (const waiter of [...this.#waiters]) {
      if (!waiter.accept(event)) continue;
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(event);
    }
  }

  /** The first event of the type that came after `since` events. */
  async next(
    type: string,
    accept: (body: NovaEvent['body']) => boolean = () => true,
    since = 0,
  ): Promise<NovaEvent['body']> {
    const fits = (event: NovaEvent): boolean => event.type === type && accept(event.body);
    const past = this.events.slice(since).find(fits);
    if (past !== undefined) return past.body;
    if (this.#end !== undefined)
      throw new Error(`no ${type} came: ${this.#end.error?.message ?? 'no error'}`);
    const event = await new Promise<NovaEvent>((resolve, reject) =>
      this.#waiters.push({ accept: fits, resolve, reject }),
    );
    return event.body;
  }

  /** The bodies of all events of a type. */
  all(type: string): readonly NovaEvent['body'][] {
    return this.events.filter((event) => event.type === type).map((event) => event.body);
  }

  /** All audio of the agent. */
  audio(): Buffer {
    return Buffer.concat(
      this.all('audioOutput').map(({ content }) => Buffer.from(String(content), 'base64')),
    );
  }

  raw(json: string): void {
    this.#queue.push(json);
    this.#wake?.();
  }

  send(type: string, body: Record<string, unknown>): void {
    this.raw(JSON.stringify({ event: { [type]: body } }));
  }

  start(settings: Record<string, unknown> = {}): void {
    this.send('sessionStart', {
      inferenceConfiguration: { maxTokens: 1024, topP: 0.9, temperature: 0.7 },
      turnDetectionConfiguration: { endpointingSensitivity: 'HIGH' },
      ...settings,
    });
  }

  prompt(settings: Record<string, unknown> = {}, tools: readonly string[] = []): void {
    this.send('promptStart', {
      promptName: PROMPT,
      textOutputConfiguration: { mediaType: 'text/plain' },
      audioOutputConfiguration: { ...lpcm(8_000), voiceId: 'matthew' },
      toolUseOutputConfiguration: { mediaType: 'application/json' },
      ...(tools.length === 0
        ? {}
        : { toolConfiguration: { tools: tools.map(tool), toolChoice: { auto: {} } } }),
      ...settings,
    });
  }

  text(role: string, parts: string | readonly string[], interactive = false, contentName = nextName()): void {
    const at = { promptName: PROMPT, contentName };
    this.send('contentStart', {
      ...at,
      type: 'TEXT',
      interactive,
      role,
      textInputConfiguration: { mediaType: 'text/plain' },
    });
    for (const content of [parts].flat()) this.send('textInput', { ...at, content });
    this.send('contentEnd', at);
  }

  openAudio(rate = 8_000, contentName = AUDIO): void {
    this.send('contentStart', {
      promptName: PROMPT,
      contentName,
      type: 'AUDIO',
      interactive: true,
      role: 'USER',
      audioInputConfiguration: lpcm(rate),
    });
  }

  /** Sends audio in pieces of 20 ms. */
  say(pcm: Buffer, rate = 8_000): void {
    const step = (rate / 50) * 2;
    for (let at = 0; at < pcm.length; at += step) {
      const content = pcm.subarray(at, at + step).toString('base64');
      this.send('audioInput', { promptName: PROMPT, contentName: AUDIO, content });
    }
  }

  result(toolUseId: string, content: string, contentName = nextName()): void {
    const at = { promptName: PROMPT, contentName };
    this.send('contentStart', {
      ...at,
      type: 'TOOL',
      interactive: false,
      role: 'TOOL',
      toolResultInputConfiguration: {
        toolUseId,
        type: 'TEXT',
        textInputConfiguration: { mediaType: 'text/plain' },
      },
    });
    this.send('toolResult', { ...at, content });
    this.send('contentEnd', at);
  }

  /** Everything up to the open audio content. */
  begin(
    options: { readonly tools?: readonly string[]; readonly history?: readonly [string, string][] } = {},
  ): void {
    this.start();
    this.prompt({}, options.tools);
    this.text('SYSTEM', 'You are an agent.');
    for (const [role, content] of options.history ?? []) this.text(role, content);
    this.openAudio();
  }

  /** Ends the session as the service wants it. */
  finish(): void {
    this.send('contentEnd', { promptName: PROMPT, contentName: AUDIO });
    this.send('promptEnd', { promptName: PROMPT });
    this.send('sessionEnd', {});
    this.hangUp();
  }

  /** Ends the input, whatever was sent. */
  hangUp(): void {
    this.#isDone = true;
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    this.abort.abort();
    await this.ended;
    this.#client.destroy();
  }
}

let names = 0;

function nextName(): string {
  return `content-${++names}`;
}

export function lpcm(rate: number): Record<string, unknown> {
  return {
    mediaType: 'audio/lpcm',
    sampleRateHertz: rate,
    sampleSizeBits: 16,
    channelCount: 1,
    audioType: 'SPEECH',
    encoding: 'base64',
  };
}

export function tool(name: string): Record<string, unknown> {
  const json = JSON.stringify({ type: 'object', properties: {} });
  return { toolSpec: { name, description: `Does ${name}.`, inputSchema: { json } } };
}

/** A loud tone, which counts as speech. */
export function speech(ms: number, rate = 8_000): Buffer {
  const pcm = Buffer.alloc(((ms * rate) / 1000) * 2);
  for (let i = 0; i < pcm.length / 2; i++) {
    pcm.writeInt16LE(Math.round(9_000 * Math.sin((2 * Math.PI * 300 * i) / rate)), i * 2);
  }
  return pcm;
}

export function silence(ms: number, rate = 8_000): Buffer {
  return Buffer.alloc(((ms * rate) / 1000) * 2);
}

/** A simulator that is quick, one client, and the simulator's side of it. */
export async function connected(
  options: NovaSimulatorOptions = {},
): Promise<{ sim: NovaSimulator; client: NovaClient; connection: SimulatedConnection } & AsyncDisposable> {
  const sim = await startNovaSimulator({ endpointScale: 0.1, firstAudioMs: 0, speedFactor: 20, ...options });
  const client = new NovaClient(sim.url);
  const connection = await sim.nextConnection();
  return {
    sim,
    client,
    connection,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await sim.close();
    },
  };
}
