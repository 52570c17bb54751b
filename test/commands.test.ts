import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeWav, readWav } from '../src/audio/wav.ts';
import { call } from '../src/commands/call.ts';
import type { Command, Terminal } from '../src/commands/command.ts';
import { dial } from '../src/commands/dial.ts';
import { serve } from '../src/commands/serve.ts';
import { simulate } from '../src/commands/simulate.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'patchcord-'));
  folders.push(made);
  return made;
}

/** A command at work: what it writes, and the means to interrupt it. */
function start(command: Command, argv: readonly string[], env: Record<string, string> = {}) {
  let listener: (() => void) | undefined;
  let heard: () => void = () => undefined;
  const written = { out: '', err: '' };
  const terminal: Terminal = {
    env,
    isTty: false,
    out: (text) => {
      written.out += text;
      heard();
    },
    err: (text) => {
      written.err += text;
    },
    onStray: () => undefined,
    onInterrupt: (given) => {
      listener = given;
      return () => {
        listener = undefined;
      };
    },
  };
  const listening = new Promise<string>((resolve) => {
    heard = () => {
      const [, url] = /^listening on (\S+)\n/.exec(written.out) ?? [];
      if (url !== undefined) resolve(url);
    };
  });
  return { written, listening, exit: command.run(argv, terminal), interrupt: () => listener?.() };
}

function speech(): string {
  const file = join(folder(), 'tone.wav');
  const samples = Int16Array.from({ length: 8000 }, (_, i) => Math.round(8000 * Math.sin(i / 3)));
  writeFileSync(
    file,
    encodeWav({ encoding: 'pcm16', rate: 8000, channels: 1 }, new Uint8Array(samples.buffer)),
  );
  return file;
}

describe('patchcord call', () => {
  it('brings its own service, and keeps what both sides said', async () => {
    const simulator = start(simulate, ['openai', '--quiet', '--first-audio-ms', '50']);
    const out = folder();
    const env = { OPENAI_BASE_URL: await simulator.listening, AGENT_GREETING: '' };
    const { exit, written } = start(call, ['--wav', speech(), '--out', out], env);
    expect(await exit).toBe(0);
    expect(readdirSync(out).toSorted()).toEqual([
      'agent.wav',
      'call.wav',
      'caller.wav',
      'report.json',
      'transcript.txt',
    ]);
    expect(readWav(readFileSync(join(out, 'call.wav')))).toMatchObject({ channels: 2, rate: 8000 });
    expect(readFileSync(join(out, 'transcript.txt'), 'utf8')).toContain('agent   I heard');
    expect(written.out).toContain('answer latency');
    simulator.interrupt();
    expect(await simulator.exit).toBe(0);
  });

  it('calls a service that runs elsewhere, with its secret', async () => {
    const simulator = start(simulate, ['openai', '--quiet']);
    const service = start(serve, ['--port', '0', '--host', '127.0.0.1'], {
      OPENAI_BASE_URL: await simulator.listening,
      LOG_LEVEL: 'silent',
    });
    const url = await service.listening;
    await expect.poll(() => service.written.err).toContain('--secret ');
    const [, secret] = /--secret (\w+)/.exec(service.written.err) ?? [];
    const wrong = start(call, ['--to', url, '--out', folder()], { TWILIO_AUTH_TOKEN: 'guess' });
    expect(await wrong.exit).toBe(1);
    expect(wrong.written.err).toContain('has to be that of the service');
    const right = start(call, ['--to', url, '--wav', speech(), '--out', folder()], {
      TWILIO_AUTH_TOKEN: secret ?? '',
    });
    expect(await right.exit).toBe(0);
    service.interrupt();
    expect(await service.exit).toBe(0);
    simulator.interrupt();
    await simulator.exit;
  });

  it('calls the number that it is told, which decides on the agent, and says where its recording is', async () => {
    const simulator = start(simulate, ['openai', '--quiet', '--first-audio-ms', '50']);
    const agents = join(folder(), 'agents.yaml');
    writeFileSync(
      agents,
      'agents: { one: { greeting: false, recording: bridge } }\nnumbers: [{ number: "+49*", agent: one }]\n',
    );
    const data = folder();
    const env = { OPENAI_BASE_URL: await simulator.listening, DATA_DIR: data, LOG_LEVEL: 'silent' };
    const argv = ['--agents', agents, '--wav', speech(), '--out', folder()];
    const right = start(call, [...argv, '--number', '+4930123456', '--from', '+4930999'], env);
    expect(await right.exit).toBe(0);
    const [recording = 'none'] = readdirSync(join(data, 'recordings'));
    expect(right.written.out).toContain(`recorded in ${join(data, 'recordings', recording)}\n`);
    const wrong = start(call, argv, env);
    expect(await wrong.exit).toBe(1);
    expect(wrong.written.out).not.toContain('recorded in');
    expect(wrong.written.err).toContain('rejected');
    simulator.interrupt();
    expect(await simulator.exit).toBe(0);
  });

  it.each([
    [['--number', '12'], /--number: found "12", wanted \+ and 3 to 15 digits/],
    [['--to', 'nowhere'], /--to: found "nowhere", wanted an http/],
    [['--wav', 'missing.wav'], /--wav missing\.wav: cannot be read/],
    [['--wav', import.meta.filename], /--wav .*commands\.test\.ts: cannot be read: .*RIFF/],
    [['--keys', '12x'], /--keys: found "12x", wanted 0-9/],
    [['--loud'], /--loud/],
  ])('refuses %j and says why', async (argv, message) => {
    await expect(start(call, argv).exit).rejects.toThrow(message);
  });
});

describe('patchcord simulate', () => {
  it.each([
    [[], /wanted one of openai, openai-live, gemini, nova, twilio, telnyx, plivo/],
    [['soup'], /found "soup", wanted one of openai/],
    [['plivo', '--callee', 'nobody'], /--callee: found "nobody", wanted human, machine/],
    [['plivo', '--transfer', 'x'], /--transfer: found "x", wanted completed, busy/],
    [['openai', '--port', '99999'], /--port: found "99999", wanted a whole number from 0 to 65535/],
    [['openai', '--dialect', 'alpha'], /--dialect: found "alpha", wanted one of ga, beta, xai/],
    [['openai', '--faults', 'missing.json'], /--faults missing\.json: cannot be read as JSON/],
  ])('refuses %j and says why', async (argv, message) => {
    await expect(start(simulate, argv).exit).rejects.toThrow(message);
  });

  it.each(['twilio', 'telnyx', 'plivo'])('plays %s, at which a service places its calls', async (carrier) => {
    const simulator = start(simulate, [carrier, '--callee', 'busy']);
    await simulator.listening;
    // What it says is all that a service needs.
    const settings = [...simulator.written.err.matchAll(/^ {2}([A-Z_]+)=(\S+) \\$/gm)];
    const env = Object.fromEntries(settings.map(([, name = '', value = '']) => [name, value]));
    const operator = { API_TOKEN: 'secret' };
    const service = start(serve, ['--port', '0', '--host', '127.0.0.1'], {
      ...env,
      ...operator,
      LOG_LEVEL: 'silent',
    });
    const url = await service.listening;
    const order = ['+14155550177', '--from', '+14155550101', '--follow', '--url', url];
    const placed = start(dial, order, operator);
    expect(await placed.exit).toBe(1);
    expect(placed.written.out).toContain(`at ${carrier}`);
    expect(placed.written.out).toContain('busy');
    await expect.poll(() => simulator.written.out).toContain('outcome          busy');
    service.interrupt();
    expect(await service.exit).toBe(0);
    simulator.interrupt();
    expect(await simulator.exit).toBe(0);
  });

  it('plays a script of faults', async () => {
    const faults = join(folder(), 'faults.json');
    writeFileSync(faults, JSON.stringify([{ when: { after: 'connect' }, do: 'http', status: 503 }]));
    const simulator = start(simulate, ['openai', '--quiet', '--faults', faults]);
    const env = { OPENAI_BASE_URL: await simulator.listening, LOG_LEVEL: 'silent' };
    const { exit, written } = start(call, ['--out', folder()], env);
    expect(await exit).toBe(1);
    expect(written.out).toContain('technical problem');
    expect(written.err).toContain('the service apologised');
    simulator.interrupt();
    await simulator.exit;
  });
});

describe('patchcord serve', () => {
  it('says who answers, and that it is insecure when it is', async () => {
    const service = start(serve, ['--port', '0', '--insecure'], { PROVIDER: 'local', LOG_LEVEL: 'silent' });
    await service.listening;
    await expect.poll(() => service.written.err).toContain('INSECURE');
    expect(service.written.err).toContain('line check');
    service.interrupt();
    expect(await service.exit).toBe(0);
  });

  it.each([
    [{ GEMINI_PLATFORM: 'vertex', GEMINI_ACCESS_TOKEN: 'ya29.x' }, ['gemini', 'GEMINI_PROJECT']],
    [{ NOVA_MODEL: 'amazon.nova-2-sonic-v1:0' }, ['nova', 'AWS_REGION']],
    [{ OPENAI_LIVE_VOICE: 'willow' }, ['openai-live', 'OPENAI_API_KEY']],
    [
      { AZURE_OPENAI_API_KEY: 'k', OPENAI_MODEL: '' },
      ['azure', 'AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_DEPLOYMENT'],
    ],
  ])('says what a provider lacks that is begun, and is not used: %j', async (env, [name, lacks]) => {
    const argv = ['--port', '0', '--host', '127.0.0.1'];
    const service = start(serve, argv, { ...env, LOG_LEVEL: 'silent' });
    await service.listening;
    await expect.poll(() => service.written.err).toContain('line check answers');
    expect(service.written.err).toContain(`\n${name} is begun: lacks ${lacks}\n`);
    expect(service.written.err).toContain(`line check answers; set ${lacks} for ${name}\n`);
    expect(service.written.err.match(/is begun/g)).toHaveLength(1);
    service.interrupt();
    expect(await service.exit).toBe(0);
  });

  it.each([
    ['of what many machines have', { AWS_REGION: 'us-east-1', AWS_PROFILE: 'work' }],
    ['when a provider is named', { GEMINI_MODEL: 'gemini-3.8-live', PROVIDER: 'local' }],
  ])('says nothing of the kind %s', async (_when, env) => {
    const service = start(serve, ['--port', '0', '--host', '127.0.0.1'], { ...env, LOG_LEVEL: 'silent' });
    await service.listening;
    await expect.poll(() => service.written.err).toContain('line check answers');
    expect(service.written.err).not.toContain('is begun');
    service.interrupt();
    expect(await service.exit).toBe(0);
  });

  it('says that calls are recorded, and where', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-'));
    const argv = ['--port', '0', '--host', '127.0.0.1'];
    const quiet = start(serve, argv, { LOG_LEVEL: 'silent' });
    const recording = start(serve, argv, {
      LOG_LEVEL: 'silent',
      RECORDING: 'bridge',
      RECORDINGS_DIR: folder,
    });
    await Promise.all([quiet.listening, recording.listening]);
    await expect
      .poll(() => recording.written.err)
      .toContain(`calls are recorded in ${folder}, kept for 30 days`);
    await expect.poll(() => quiet.written.err).toContain('line check answers');
    expect(quiet.written.err).not.toContain('recorded');
    quiet.interrupt();
    recording.interrupt();
    expect([await quiet.exit, await recording.exit]).toEqual([0, 0]);
    rmSync(folder, { recursive: true });
  });

  it('says it beside a provider that does take the calls', async () => {
    const env = { OPENAI_API_KEY: 'sk-x', XAI_VOICE: 'rex', LOG_LEVEL: 'silent' };
    const service = start(serve, ['--port', '0', '--host', '127.0.0.1'], env);
    await service.listening;
    await expect.poll(() => service.written.err).toContain('on provider openai\n');
    expect(service.written.err).toContain('\nxai is begun: lacks XAI_API_KEY\n');
    expect(service.written.err).not.toContain('line check');
    service.interrupt();
    expect(await service.exit).toBe(0);
  });

  /** What `serve` says in an environment, without the lines on how to call it. */
  async function said(env: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const argv = ['--port', '0', '--host', '127.0.0.1'];
    const service = start(serve, argv, { ...env, LOG_LEVEL: 'silent' });
    await service.listening;
    await expect.poll(() => service.written.err).toContain('a simulated call');
    service.interrupt();
    await service.exit;
    const lines = service.written.err.split('\n');
    return lines.slice(
      0,
      lines.findIndex((line) => line.includes('a simulated call')),
    );
  }
  const ALONE = 'one provider and no other: a call that loses it is dialled anew at it';
  const SORRY = 'when no provider is left, the carrier says so and hangs up';
  const BOTH = { OPENAI_API_KEY: 'sk-x', GEMINI_API_KEY: 'AIza' };

  it.each([
    [{ OPENAI_API_KEY: 'sk-x' }, ['agent voice-agent on provider openai', SORRY, ALONE]],
    [
      BOTH,
      [
        'agent voice-agent on provider openai',
        SORRY,
        `${ALONE}; PROVIDER=openai,gemini has gemini take over`,
      ],
    ],
    [
      { ...BOTH, PROVIDER: 'gemini', XAI_API_KEY: 'x' },
      [
        'agent voice-agent on provider gemini',
        SORRY,
        // The key is that of OpenAI Live too, and so nobody's own.
        `${ALONE}; PROVIDER=gemini,xai has xai take over`,
      ],
    ],
    [
      { ...BOTH, PROVIDER: 'gemini,openai', LAST_RESORT_TRANSFER: '+15550199' },
      [
        'agent voice-agent on provider gemini, then openai',
        'when no provider is left, the caller is put through to somebody',
      ],
    ],
    [
      { OPENAI_API_KEY: 'sk-x', LAST_RESORT_MESSAGE: 'Please speak.' },
      [
        'agent voice-agent on provider openai',
        'when no provider is left, the carrier takes a message',
        ALONE,
      ],
    ],
  ] as const)('says who takes over, and what happens when nobody does: %j', async (env, lines) => {
    expect(await said(env)).toEqual(lines);
  });

  it('says it of every agent of a file, of those together that have the same', async () => {
    const file = join(folder(), 'agents.yaml');
    const numbers = ['a', 'b', 'c', 'd'].map((name, i) => `{ number: "${i}", agent: ${name} }`);
    writeFileSync(
      file,
      `agents:
  a: { providers: [{ name: openai, model: m }, gemini, xai] }
  b: {}
  c: { providers: [gemini], lastResort: hang-up }
  d: { lastResort: { say: Bye } }
numbers: [${numbers.join()}]
`,
    );
    const [, ...lines] = await said({ ...BOTH, PROVIDER: 'gemini,openai', AGENTS_FILE: file });
    expect(lines).toEqual([
      '  a: openai m, then gemini; when none is left, the carrier says so and hangs up',
      '  b, d: gemini, then openai; when none is left, the carrier says so and hangs up',
      '  c: gemini; when none is left, the call is hung up',
      `c: ${ALONE}`,
    ]);
  });

  it('refuses settings that cannot be used', async () => {
    await expect(start(serve, ['--port', 'x']).exit).rejects.toThrow(/BAD_CONFIG: PORT: found "x"/);
  });
});

describe('the process', () => {
  it('survives an exception that nobody caught, and says so', async () => {
    const root = fileURLToPath(new URL('..', import.meta.url));
    const out = folder();
    // What a function handler may do to the process: throw where nobody waits.
    const preload = join(out, 'stray.mjs');
    writeFileSync(preload, "process.once('SIGUSR2', () => { throw new RangeError('a handler threw'); });\n");
    const built = join(out, 'dist');
    spawnSync(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', built],
      {
        cwd: root,
      },
    );
    symlinkSync(join(root, 'node_modules'), join(out, 'node_modules'));
    writeFileSync(join(out, 'package.json'), '{"type":"module"}');
    const args = [
      '--import',
      preload,
      join(built, 'src', 'cli.js'),
      'serve',
      '--port',
      '0',
      '--host',
      '127.0.0.1',
    ];
    const child = spawn(process.execPath, args, { env: { PATH: process.env['PATH'], PROVIDER: 'local' } });
    const text = { out: '', err: '' };
    child.stdout.on('data', (data) => {
      text.out += data;
    });
    child.stderr.on('data', (data) => {
      text.err += data;
    });
    await expect.poll(() => text.out, { timeout: 10_000 }).toMatch(/^listening on /);
    child.kill('SIGUSR2');
    await expect.poll(() => text.err, { timeout: 5000 }).toContain('an exception that nobody caught');
    const [, url] = /listening on (\S+)/.exec(text.out) ?? [];
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  });
});
