import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Cancel } from '../src/clock.ts';
import { BridgeError } from '../src/errors.ts';
import { connected, Listener, namesOf, program, run, SUPPORT, toolOf } from './support/mcp-kit.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Neither running nor waiting to be buried. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function pidOf(listener: Listener, count = 1): Promise<number> {
  const { line } = await listener.line('up ', count);
  return Number(String(line).slice(3));
}

class NotingClock extends VirtualClock {
  readonly asked: number[] = [];

  override after(ms: number, run: () => void): Cancel {
    this.asked.push(ms);
    return super.after(ms, run);
  }
}

describe('an MCP server that is a program', () => {
  it('brings its functions, and is gone after the close', async () => {
    const { log, all: listener } = kit();
    const server = connected(program(), { clock: new VirtualClock(), log });
    expect(server.tools).toEqual([]);
    await server.ready;
    expect(namesOf(server.tools)).toContain('greet');
    const greet = toolOf(server, 'greet');
    expect(greet.definition).toMatchObject({
      description: 'Greets somebody.',
      parameters: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
    });
    expect(greet.check({ name: 'Ada' })).toEqual({ ok: true, args: { name: 'Ada' } });
    expect(greet.check({})).toMatchObject({ ok: false });
    const pid = await pidOf(listener);
    expect(await run(server, 'greet', { name: 'Ada' })).toBe(`Hello Ada, says ${pid}`);
    await server.close();
    expect(isAlive(pid)).toBe(false);
    expect(server.isUp).toBe(false);
    await expect(run(server, 'greet', { name: 'Ada' })).rejects.toThrow('not available');
    expect(listener.warnings).toEqual([]);
  });

  it('is given what every program needs, what the file says, and nothing else of our environment', async () => {
    process.env['PATCHCORD_TEST_SECRET'] = 'x';
    await using server = connected(
      { ...program(), env: { SECRET: 'told' }, cwd: '..' },
      { clock: new VirtualClock(), ...kit() },
    );
    await server.ready;
    delete process.env['PATCHCORD_TEST_SECRET'];
    const inside = await run(server, 'inside');
    expect(inside).toMatchObject({ cwd: SUPPORT.replace(/.support$/, ''), secret: 'told' });
    expect(inside).toMatchObject({ env: expect.arrayContaining(['PATH', 'SECRET']) });
    expect(inside).not.toMatchObject({ env: expect.arrayContaining(['PATCHCORD_TEST_SECRET']) });
  });

  it('that dies in mid-call fails the call at once, keeps its functions listed, and is started again', async () => {
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using server = connected(program(), { clock, log });
    await server.ready;
    const before = namesOf(server.tools);
    const waiting = run(server, 'wait').catch((error: unknown) => error);
    await all.line('waiting');
    await expect(run(server, 'die')).rejects.toThrow('the service behind this function is not available');
    const failure = await waiting;
    expect(failure).toBeInstanceOf(BridgeError);
    expect(failure).toMatchObject({ code: 'TOOL_FAILED' });
    expect((await all.line('mcp server is lost'))['reason']).toBe('the program ended with exit code 3');
    expect(namesOf(server.tools)).toEqual(before);
    await expect(run(server, 'greet', { name: 'Ada' })).rejects.toThrow('not available');
    clock.advance(999);
    expect(all.lines.filter(({ line }) => String(line).startsWith('up '))).toHaveLength(1);
    clock.advance(1);
    await all.line('mcp server is up', 2);
    expect(await run(server, 'greet', { name: 'Ada' })).toBe(`Hello Ada, says ${await pidOf(all, 2)}`);
  });

  it('that answers and ends has answered', async () => {
    await using server = connected(program(), { clock: new VirtualClock(), ...kit() });
    await server.ready;
    expect(await run(server, 'answer_and_die')).toBe('last word');
  });

  it('is told when a call is not needed any more', async () => {
    const { log, all } = kit();
    await using server = connected(program(), { clock: new VirtualClock(), log });
    await server.ready;
    const call = new AbortController();
    const waiting = run(server, 'wait', {}, call.signal).catch((error: unknown) => error);
    await all.line('waiting');
    const reason = new BridgeError('CANCELLED', 'the call has ended: +15550100');
    call.abort(reason);
    expect(await waiting).toBe(reason);
    expect((await all.line('cancelled: '))['pii']).toEqual({ line: 'cancelled: nobody needs it any more' });
    expect(await run(server, 'greet', { name: 'Ada' })).toContain('Hello Ada');
  });

  it('may print what it likes', async () => {
    const { log, all } = kit();
    await using server = connected(program(), { clock: new VirtualClock(), log });
    await server.ready;
    expect(await run(server, 'chatter')).toBe('still here');
    expect(all.warnings).toEqual([]);
    expect((await all.line('Listening on port')).level).toBe(20);
  });

  it('is quoted in the log until it knows of a call, and never with its keys', async () => {
    const all = new Listener();
    const env = { SECRET: 'key-of-the-crm', GREETING: 'yes' };
    await using server = connected({ ...program('well'), env }, { clock: new VirtualClock(), log: all.log });
    await server.ready;
    expect((await all.line('up '))['line']).toMatch(/^up \d+$/);
    expect((await all.line('with '))['line']).toBe('with [removed], yes');
    expect(await run(server, 'chatter')).toBe('still here');
    const { msg, pii } = await all.line('standard output');
    expect([msg, pii]).toEqual([
      'mcp server wrote something else than a message to standard output',
      '[redacted]',
    ]);
    expect(JSON.stringify(all.lines)).not.toMatch(/Listening on port|key-of-the-crm/);
  });

  it('may change its functions', async () => {
    await using server = connected({ ...program(), prefix: 'crm_' }, { clock: new VirtualClock(), ...kit() });
    await server.ready;
    const changed = new Promise<void>((resolve) => server.onChange(resolve));
    expect(namesOf(server.tools)).not.toContain('crm_learnt');
    await run(server, 'crm_learn');
    await changed;
    expect(namesOf(server.tools)).toContain('crm_learnt');
    expect(await run(server, 'crm_learnt')).toBe('new');
    expect(namesOf(server.find('learn*'))).toEqual(['crm_learn', 'crm_learnt']);
    expect(namesOf(server.find('crm_learn'))).toEqual([]);
  });

  it('that never answers is reported after 10 s and tried again with longer and longer pauses', async () => {
    const clock = new NotingClock();
    const { log, all } = kit();
    const server = connected(program('mute'), { clock, log });
    await using _closing = closedInTime(server, clock);
    let ready = false;
    void server.ready.then(() => {
      ready = true;
    });
    await all.line('"line":"mute"');
    clock.advance(9_999);
    await turn();
    expect(ready).toBe(false);
    clock.advance(1);
    await server.ready;
    const { reason } = await all.line('mcp server does not come up');
    expect(reason).toBe('TIMEOUT: the start took longer than 10000 ms');
    expect(server.tools).toEqual([]);
    for (const [index, ms] of [1000, 2000, 4000, 8000].entries()) {
      // The program is gone, and this pause is all that is waited for.
      while (clock.asked.at(-1) !== ms) await turn();
      expect(clock.pending).toBe(1);
      clock.advance(ms - 1);
      await turn();
      expect(all.lines.filter(({ line }) => line === 'mute')).toHaveLength(index + 1);
      clock.advance(1);
      await all.line('"line":"mute"', index + 2);
      clock.advance(10_000);
      await all.line('mcp server does not come up', index + 2);
    }
  });

  it('that cannot be started is reported with the reason and without its environment', async () => {
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using missing = connected({ command: 'no-such-program', env: { KEY: 'hush' } }, { clock, log });
    await missing.ready;
    await using nowhere = connected({ ...program(), cwd: 'no-such-folder' }, { clock, log });
    await nowhere.ready;
    await using crashing = connected(program('crash'), { clock, log });
    await crashing.ready;
    expect(all.warnings.map(({ reason }) => reason)).toEqual([
      'the program no-such-program was not found',
      expect.stringContaining('no-such-folder does not exist'),
      'the program ended with exit code 7',
    ]);
    expect(JSON.stringify(all.lines)).not.toContain('hush');
    expect(String((await all.line('crashing'))['line'])).toHaveLength(500);
  });

  it('that does not want to end is made to, with what it has started', async () => {
    const clock = new VirtualClock();
    const { log, all } = kit();
    const server = connected(program('stubborn'), { clock, log });
    await server.ready;
    const pid = await pidOf(all);
    const child = Number(await run(server, 'breed'));
    expect([isAlive(pid), isAlive(child)]).toEqual([true, true]);
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await turn();
    clock.advance(500);
    await all.line('not now');
    expect([isAlive(pid), isAlive(child)]).toEqual([true, true]);
    await closedInTime(server, clock)[Symbol.asyncDispose]();
    // Killing takes real time, which the clock of the test is ahead of.
    await until(() => !isAlive(pid) && !isAlive(child), clock);
  });

  it('leaves nothing behind when it dies and its children hold its pipes', async () => {
    const clock = new VirtualClock();
    const { log, all } = kit();
    await using server = connected(program(), { clock, log });
    await server.ready;
    const child = Number(await run(server, 'breed'));
    process.kill(await pidOf(all), 'SIGKILL');
    await until(() => !isAlive(child), clock);
    expect((await all.line('mcp server is lost'))['reason']).toBe('the program was ended by SIGKILL');
  });

  it('is closed by the signal', async () => {
    const { log, all } = kit();
    const life = new AbortController();
    const server = connected(program(), { clock: new VirtualClock(), log, signal: life.signal });
    await server.ready;
    const pid = await pidOf(all);
    life.abort();
    await server.close();
    expect(isAlive(pid)).toBe(false);
    await connected(program(), { clock: new VirtualClock(), log, signal: life.signal }).ready;
    expect(all.lines.filter(({ line }) => String(line).startsWith('up '))).toHaveLength(1);
  });

  it('that is closed while it comes up is gone, and has not failed', async () => {
    const { log, all } = kit();
    const server = connected(program('mute'), { clock: new VirtualClock(), log });
    await all.line('"line":"mute"');
    await server.close();
    await server.ready;
    expect(all.warnings).toEqual([]);
  });
});

function kit(): { readonly log: Listener['log']; readonly all: Listener } {
  const all = new Listener(false);
  return { log: all.log, all };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass in small steps until something has happened. */
async function until(happened: () => boolean, clock: VirtualClock): Promise<void> {
  while (!happened()) {
    await turn();
    clock.advance(5);
  }
}

function closedInTime(server: { close(): Promise<void> }, clock: VirtualClock): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      let closed = false;
      const closing = server.close().then(() => {
        closed = true;
      });
      await until(() => closed, clock);
      await closing;
    },
  };
}
