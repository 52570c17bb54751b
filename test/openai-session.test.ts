import { afterEach, describe, expect, it } from 'vitest';
import { PCM16_24K } from '../src/audio/format.ts';
import type { ProviderEvent } from '../src/provider.ts';
import { SERVER_EVENTS } from '../src/providers/openai/wire.ts';
import {
  audioDone,
  created,
  delta,
  done,
  error,
  functionCall,
  type Line,
  type Message,
  nextClosed,
  open,
  result,
  speechStarted,
  speechStopped,
} from './support/openai-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const types = (line: Line): string[] => line.events.map(({ type }) => type);
const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
/** What was sent after the session was configured. */
const sent = (line: Line): unknown[] => line.peer.types(1);
/** 20 ms of mu-law. */
const FRAME = 160;

describe('audio to the model', () => {
  it('is appended in order, whatever the size of the pieces', async () => {
    const line = await open();
    for (const size of [160, 1, 0, 333])
      expect(line.session.sendAudio(new Uint8Array(size).fill(7))).toBe(true);
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(494);
    expect(line.peer.all('input_audio_buffer.append')[0]?.['audio']).toBe(
      Buffer.alloc(160, 7).toString('base64'),
    );
  });

  it('may lie in a part of a larger buffer that is used again at once', async () => {
    const line = await open();
    const buffer = new Uint8Array(320).fill(1);
    line.session.sendAudio(buffer.subarray(160, 320));
    buffer.fill(2);
    line.session.sendAudio(buffer.subarray(0, 160));
    await line.peer.settle();
    const [first, second] = line.peer.all('input_audio_buffer.append');
    expect(first?.['audio']).toBe(Buffer.alloc(160, 1).toString('base64'));
    expect(second?.['audio']).toBe(Buffer.alloc(160, 2).toString('base64'));
  });

  it('has only whole samples in each message when it is PCM16', async () => {
    const line = await open({ preferredFormats: [PCM16_24K] });
    const bytes = Uint8Array.from({ length: 12 }, (_, i) => i);
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, 9],
      [9, 12],
    ] as const) {
      line.session.sendAudio(bytes.subarray(from, to));
    }
    await line.peer.settle();
    const pieces = line.peer
      .all('input_audio_buffer.append')
      .map((message) => Buffer.from(String(message['audio']), 'base64'));
    expect(pieces.every((piece) => piece.length % 2 === 0)).toBe(true);
    expect(Buffer.concat(pieces)).toEqual(Buffer.from(bytes));
  });

  it('waits outside a full socket, drops the oldest first, says so once, and comes out in order', async () => {
    const line = await open({}, { highWaterMs: 1_000, backlogMs: 1_000 });
    // The peer stops reading, so that the buffers of both kernels fill up and then ours.
    line.peer.socket.pause();
    const frame = new Uint8Array(16_000);
    let frames = 0;
    let refused = 0;
    while (refused < 5) {
      frames += 1;
      frame.fill(frames % 251);
      if (!line.session.sendAudio(frame)) refused += 1;
      // Lets the kernel take what it can; without it the first full moment would be only a busy one.
      if (frames % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(line.events).toEqual([]);
    line.session.sendText('still here', { role: 'system', respond: false });
    line.peer.socket.resume();
    await line.peer.next('conversation.item.create');
    await line.peer.settle();
    const heard = Buffer.concat(
      line.peer
        .all('input_audio_buffer.append')
        .map((message) => Buffer.from(String(message['audio']), 'base64')),
    );
    expect(warnings(line)).toEqual(['audio_dropped']);
    const dropped = Number(/^(\d+) ms/.exec(line.of('warning')[0]?.message ?? '')?.[1]);
    expect(dropped).toBeGreaterThan(0);
    expect(heard.length + dropped * 8).toBe(frames * frame.length);
    // What came last is never what is dropped.
    expect(heard.at(-1)).toBe(frames % 251);
    const changes = heard.filter(
      (byte, i) => i > 0 && byte !== heard[i - 1] && byte !== (Number(heard[i - 1]) + 1) % 251,
    );
    expect(changes.length).toBe(1);
    expect(line.session.sendAudio(frame)).toBe(true);
    const closed = nextClosed(line);
    line.peer.socket.terminate();
    await closed;
    expect(warnings(line)).toHaveLength(1);
  });

  it('is refused without a word once the session is closed', async () => {
    const line = await open();
    const closing = line.session.close('over');
    expect(line.session.sendAudio(new Uint8Array(160))).toBe(false);
    line.session.say('late');
    line.session.sendText('late', { role: 'user', respond: true });
    line.session.sendToolResult('call_1', result('late'));
    line.session.interrupt([{ itemId: 'item_1', playedMs: 0, receivedMs: 0 }]);
    await closing;
    expect(types(line)).toEqual(['closed']);
    expect(sent(line)).toEqual([]);
  });
});

describe('a spoken response', () => {
  it('comes out in order: start, audio, words, end, with usage', async () => {
    const line = await open();
    await line.peer.tell(
      speechStarted,
      speechStopped,
      { type: 'input_audio_buffer.committed', item_id: 'item_u' },
      created('resp_1'),
      {
        type: 'response.output_item.added',
        response_id: 'resp_1',
        output_index: 0,
        item: { id: 'item_1', type: 'message' },
      },
      {
        type: 'response.output_audio_transcript.delta',
        response_id: 'resp_1',
        item_id: 'item_1',
        delta: 'Good ',
      },
      delta('resp_1', 'item_1', FRAME),
      {
        type: 'response.output_audio_transcript.delta',
        response_id: 'resp_1',
        item_id: 'item_1',
        delta: 'day.',
      },
      delta('resp_1', 'item_1', FRAME, 0, 2),
      audioDone('resp_1', 'item_1'),
      {
        type: 'response.output_audio_transcript.done',
        response_id: 'resp_1',
        item_id: 'item_1',
        transcript: 'Good day.',
      },
      { type: 'conversation.item.input_audio_transcription.delta', item_id: 'item_u', delta: 'Hi' },
      { type: 'conversation.item.input_audio_transcription.completed', item_id: 'item_u', transcript: 'Hi.' },
      done('resp_1', 'completed', {
        usage: {
          input_token_details: { text_tokens: 1, audio_tokens: 2, cached_tokens: 3 },
          output_token_details: { text_tokens: 4, audio_tokens: 5 },
        },
      }),
    );
    expect(line.events).toEqual<ProviderEvent[]>([
      { type: 'speechStarted', itemId: 'item_u' },
      { type: 'speechStopped', itemId: 'item_u' },
      { type: 'responseStarted', responseId: 'resp_1', asked: false },
      { type: 'transcript', role: 'assistant', itemId: 'item_1', text: 'Good ', final: false },
      { type: 'audio', responseId: 'resp_1', itemId: 'item_1', bytes: new Uint8Array(FRAME).fill(1) },
      { type: 'transcript', role: 'assistant', itemId: 'item_1', text: 'day.', final: false },
      { type: 'audio', responseId: 'resp_1', itemId: 'item_1', bytes: new Uint8Array(FRAME).fill(2) },
      { type: 'audioDone', responseId: 'resp_1', itemId: 'item_1' },
      { type: 'transcript', role: 'assistant', itemId: 'item_1', text: 'Good day.', final: true },
      { type: 'transcript', role: 'user', itemId: 'item_u', text: 'Hi', final: false },
      { type: 'transcript', role: 'user', itemId: 'item_u', text: 'Hi.', final: true },
      {
        type: 'usage',
        usage: {
          inputTextTokens: 1,
          inputAudioTokens: 2,
          cachedTextTokens: 1,
          cachedAudioTokens: 2,
          outputTextTokens: 4,
          outputAudioTokens: 5,
        },
      },
      { type: 'responseDone', responseId: 'resp_1', status: 'completed', reason: undefined },
    ]);
  });

  it('is understood by its older event names too', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      { ...delta('resp_1', 'item_1', FRAME), type: 'response.audio.delta' },
      {
        type: 'response.audio_transcript.done',
        response_id: 'resp_1',
        item_id: 'item_1',
        transcript: 'Yes.',
      },
      { ...audioDone('resp_1', 'item_1'), type: 'response.audio.done' },
      done('resp_1'),
    );
    expect(types(line)).toEqual(['responseStarted', 'audio', 'transcript', 'audioDone', 'responseDone']);
  });

  it('is known also when its start was never announced, and when only its end ever comes', async () => {
    const line = await open();
    await line.peer.tell(delta('resp_1', 'item_1', FRAME), done('resp_1'), done('resp_2'), done('resp_2'));
    expect(
      line.events.map((event) => ('responseId' in event ? `${event.type} ${event.responseId}` : event.type)),
    ).toEqual([
      'responseStarted resp_1',
      'audio resp_1',
      'audioDone resp_1',
      'responseDone resp_1',
      'responseStarted resp_2',
      'responseDone resp_2',
    ]);
  });

  it('plays its messages in the order of the response, not of arrival', async () => {
    const line = await open();
    const added = (item: string, index: number): Message => ({
      type: 'response.output_item.added',
      response_id: 'resp_1',
      output_index: index,
      item: { id: item, type: 'message', phase: index === 0 ? 'commentary' : 'final_answer' },
    });
    await line.peer.tell(
      created('resp_1'),
      added('item_a', 0),
      added('item_b', 1),
      delta('resp_1', 'item_b', FRAME, 1),
      delta('resp_1', 'item_a', FRAME, 0),
      audioDone('resp_1', 'item_b', 1),
      delta('resp_1', 'item_a', FRAME, 0),
    );
    const played = () =>
      line.events
        .filter((event) => event.type === 'audio' || event.type === 'audioDone')
        .map((event) => `${event.type} ${event.itemId}`);
    expect(played()).toEqual(['audio item_a', 'audio item_a']);
    await line.peer.tell(audioDone('resp_1', 'item_a', 0));
    expect(played().slice(2)).toEqual(['audioDone item_a', 'audio item_b', 'audioDone item_b']);
  });

  it('lets go of what it held back when the response ends', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_a', FRAME, 0),
      delta('resp_1', 'item_b', FRAME, 1),
      done('resp_1'),
    );
    expect(types(line)).toEqual([
      'responseStarted',
      'audio',
      'audioDone',
      'audio',
      'audioDone',
      'responseDone',
    ]);
  });

  it('warns once when the model writes instead of speaking', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      { type: 'response.output_text.delta', response_id: 'resp_1', item_id: 'item_1', delta: 'Well' },
      { type: 'response.output_text.done', response_id: 'resp_1', item_id: 'item_1', text: 'Well.' },
      done('resp_1'),
    );
    expect(warnings(line)).toEqual(['answered_in_text']);
    expect(line.of('transcript').at(-1)).toMatchObject({ text: 'Well.', final: true });
  });
});

describe('news that nobody needs, and nonsense', () => {
  it.each([...SERVER_EVENTS.keys()].filter((type) => type !== 'error' && !type.startsWith('session.')))(
    'survives a %s that holds nothing but its name',
    async (type) => {
      const line = await open();
      await line.peer.tell({ type, event_id: 'event_1' });
      await line.peer.tell(created('resp_1'));
      expect(line.of('responseStarted')).toHaveLength(1);
      expect(line.of('error')).toEqual([]);
    },
  );

  it('knows every event of the protocol, in all dialects', () => {
    const names = [
      // Of relatives alone.
      'conversation.item.input_audio_transcription.updated ping warning',
      'session.created session.updated conversation.created error rate_limits.updated response.created response.done',
      'conversation.item.added conversation.item.done conversation.item.created conversation.item.retrieved',
      'conversation.item.truncated conversation.item.deleted',
      'conversation.item.input_audio_transcription.delta conversation.item.input_audio_transcription.completed',
      'conversation.item.input_audio_transcription.failed conversation.item.input_audio_transcription.segment',
      'input_audio_buffer.speech_started input_audio_buffer.speech_stopped input_audio_buffer.committed',
      'input_audio_buffer.cleared input_audio_buffer.timeout_triggered input_audio_buffer.dtmf_event_received',
      'output_audio_buffer.started output_audio_buffer.stopped output_audio_buffer.cleared',
      'response.output_item.added response.output_item.done response.content_part.added response.content_part.done',
      'response.output_text.delta response.output_text.done response.text.delta response.text.done',
      'response.output_audio.delta response.output_audio.done response.audio.delta response.audio.done',
      'response.output_audio_transcript.delta response.output_audio_transcript.done',
      'response.audio_transcript.delta response.audio_transcript.done',
      'response.function_call_arguments.delta response.function_call_arguments.done',
      'response.mcp_call_arguments.delta response.mcp_call_arguments.done response.mcp_call.in_progress',
      'response.mcp_call.completed response.mcp_call.failed',
      'mcp_list_tools.in_progress mcp_list_tools.completed mcp_list_tools.failed',
    ].flatMap((part) => part.split(' '));
    expect([...SERVER_EVENTS.keys()].sort()).toEqual(names.sort());
  });

  it('ignores unknown events and warns of messages that cannot be read', async () => {
    const line = await open();
    await line.peer.tell({ type: 'ping' }, { type: 'constructor' });
    expect(line.events).toEqual([]);
    for (const nonsense of [
      '{"type":',
      '[]',
      'null',
      '{"type":7}',
      '{}',
      '{"type":"response.output_audio.delta"}',
    ]) {
      line.peer.socket.send(nonsense);
    }
    line.peer.socket.send(Buffer.from([0xff, 0x00]));
    await line.peer.settle();
    expect(warnings(line)).toEqual(Array.from({ length: 7 }, () => 'bad_frame'));
    await line.peer.tell(created('resp_1'));
    expect(types(line).at(-1)).toBe('responseStarted');
  });

  it('plays a message once that arrives twice', async () => {
    const line = await open();
    const twice = { event_id: 'event_9', ...delta('resp_1', 'item_1', FRAME) };
    await line.peer.tell(twice, twice, { ...twice, delta: 'AAAA' });
    expect(line.of('audio').map(({ bytes }) => bytes.length)).toEqual([FRAME, 3]);
  });

  it('turns a failed transcription into a warning', async () => {
    const line = await open();
    await line.peer.tell({
      type: 'conversation.item.input_audio_transcription.failed',
      item_id: 'item_u',
      error: { message: 'too noisy' },
    });
    expect(line.of('warning')).toEqual([
      { type: 'warning', code: 'transcription_failed', message: 'too noisy' },
    ]);
  });
});

describe('words and texts of the bridge', () => {
  it('has the model say a text, and nothing else, on top of its instructions', async () => {
    const line = await open({ language: 'fr' });
    line.session.say('Bonjour "vous" !');
    const response = (await line.peer.next('response.create'))['response'] as Message;
    expect(response['tool_choice']).toBe('none');
    expect(response['instructions']).toMatch(/^Be brief\..*French \(fr\).*Bonjour "vous" !/s);
  });

  it('asks for one response at a time', async () => {
    const line = await open();
    line.session.say('one');
    line.session.say('two');
    const first = await line.peer.next('response.create');
    await line.peer.tell(created('resp_1', first['event_id']));
    expect(line.peer.all('response.create')).toHaveLength(1);
    await line.peer.tell(done('resp_1'));
    expect(line.peer.all('response.create')).toHaveLength(2);
  });

  it('asks again after the server said that a response is active already', async () => {
    const line = await open();
    line.session.say('one');
    const first = await line.peer.next('response.create');
    await line.peer.tell(
      created('resp_vad'),
      error('conversation_already_has_active_response', { event_id: first['event_id'] }),
    );
    expect(line.peer.all('response.create')).toHaveLength(1);
    await line.peer.tell(done('resp_vad'));
    expect(line.peer.all('response.create')).toHaveLength(2);
    expect(line.of('error')).toEqual([]);
  });

  it('asks once more when a response is never heard of, and then gives the session up', async () => {
    const line = await open();
    line.session.say('one');
    await line.peer.next('response.create');
    line.clock.advance(10_000);
    await line.peer.next('response.create');
    expect(warnings(line)).toEqual(['response_lost']);
    // Halfway, the socket shows that it lives.
    await line.peer.settle();
    line.clock.advance(10_000);
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    expect(types(line)).toEqual(['warning', 'error', 'closed']);
  });

  it('adds a text as an item and asks for an answer only when it should', async () => {
    const line = await open();
    line.session.sendText('Be kind.', { role: 'system', respond: false });
    line.session.sendText('The caller pressed 5.', { role: 'user', respond: true, digits: '5' });
    line.session.sendText('', { role: 'user', respond: false, digits: '#' });
    line.session.sendText(' ', { role: 'user', respond: true });
    await line.peer.settle();
    expect(sent(line)).toEqual([
      'conversation.item.create',
      'conversation.item.create',
      'response.create',
      'conversation.item.create',
    ]);
    const items = line.peer.all('conversation.item.create').map((message) => message['item'] as Message);
    expect(items.map(({ role, content }) => [role, (content as Message[])[0]])).toEqual([
      ['system', { type: 'input_text', text: 'Be kind.' }],
      ['user', { type: 'input_text', text: 'The caller pressed 5.' }],
      ['user', { type: 'input_text', text: 'The caller pressed # on the telephone keypad.' }],
    ]);
  });
});

describe('function calls', () => {
  const withCalls = (id: string, status: string, ...calls: Message[]): Message =>
    done(id, status, { output: calls });

  it('come from completed responses only, before the end of the response', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      {
        type: 'response.output_item.done',
        response_id: 'resp_1',
        output_index: 0,
        item: functionCall('call_1'),
      },
      withCalls('resp_1', 'cancelled', functionCall('call_1')),
      created('resp_2'),
      withCalls(
        'resp_2',
        'completed',
        functionCall('call_2'),
        functionCall('call_3', 'lookup', 'incomplete'),
      ),
    );
    expect(types(line)).toEqual([
      'responseStarted',
      'responseDone',
      'responseStarted',
      'toolCall',
      'responseDone',
    ]);
    expect(line.of('toolCall')).toEqual([
      { type: 'toolCall', responseId: 'resp_2', callId: 'call_2', name: 'lookup', args: '{"id":"call_2"}' },
    ]);
  });

  it('are found also when the end of the response does not repeat them, and told once', async () => {
    const line = await open();
    const item = {
      type: 'response.output_item.done',
      response_id: 'resp_1',
      output_index: 0,
      item: functionCall('call_1'),
    };
    await line.peer.tell(created('resp_1'), item, item, withCalls('resp_1', 'completed'));
    expect(line.of('toolCall')).toHaveLength(1);
  });

  it('ask for one response when all calls of a response are answered', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      withCalls('resp_1', 'completed', functionCall('call_1'), functionCall('call_2')),
    );
    line.session.sendToolResult('call_2', result('{"b":2}'));
    await line.peer.settle();
    expect(sent(line)).toEqual(['conversation.item.create']);
    line.session.sendToolResult('call_1', { output: 'boom', isError: true, respond: true });
    await line.peer.settle();
    expect(sent(line)).toEqual(['conversation.item.create', 'conversation.item.create', 'response.create']);
    expect(line.peer.all('conversation.item.create').map((message) => message['item'])).toMatchObject([
      { type: 'function_call_output', call_id: 'call_2', output: '{"b":2}' },
      { type: 'function_call_output', call_id: 'call_1', output: '{"error":"boom"}' },
    ]);
  });

  it('wait with their response until nothing is active', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      withCalls('resp_1', 'completed', functionCall('call_1')),
      created('resp_2'),
    );
    line.session.sendToolResult('call_1', result('1'));
    await line.peer.settle();
    expect(sent(line)).toEqual(['conversation.item.create']);
    await line.peer.tell(done('resp_2'));
    expect(sent(line)).toEqual(['conversation.item.create', 'response.create']);
  });

  it('ask for no response when the result does not want one', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), withCalls('resp_1', 'completed', functionCall('call_1')));
    line.session.sendToolResult('call_1', result('1', false));
    await line.peer.settle();
    expect(sent(line)).toEqual(['conversation.item.create']);
  });

  it('are spoken also when the caller cut in and got a newer response that had not seen the result', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_1', FRAME),
      withCalls('resp_1', 'completed', functionCall('call_1')),
      speechStarted,
    );
    line.session.interrupt([{ itemId: 'item_1', playedMs: 10, receivedMs: 20 }]);
    await line.peer.tell(speechStopped, created('resp_2'), done('resp_2'));
    line.session.sendToolResult('call_1', result('1'));
    await line.peer.settle();
    expect(sent(line)).toEqual(['conversation.item.truncate', 'conversation.item.create', 'response.create']);
  });

  it('are spoken after the caller cut in and nothing newer came of it', async () => {
    const line = await open({
      overrides: { audio: { input: { turn_detection: { create_response: false } } } },
    });
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_1', FRAME),
      withCalls('resp_1', 'completed', functionCall('call_1')),
      speechStarted,
    );
    line.session.interrupt([{ itemId: 'item_1', playedMs: 10, receivedMs: 20 }]);
    await line.peer.tell(speechStopped);
    line.session.sendToolResult('call_1', result('1'));
    await line.peer.next('response.create');
  });

  it('leave the answer to the response that the server makes after it has seen the result', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      withCalls('resp_1', 'completed', functionCall('call_1')),
      speechStarted,
    );
    line.session.sendToolResult('call_1', result('1'));
    const item = (await line.peer.next('conversation.item.create'))['item'] as Message;
    await line.peer.tell(
      { type: 'conversation.item.added', item },
      speechStopped,
      created('resp_2'),
      done('resp_2'),
    );
    expect(line.peer.all('response.create')).toEqual([]);
  });

  it('speak the result after the caller talked on while the function ran', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      withCalls('resp_1', 'completed', functionCall('call_1')),
      speechStarted,
      speechStopped,
      created('resp_2'),
      done('resp_2'),
    );
    line.session.sendToolResult('call_1', result('1'));
    await line.peer.next('response.create');
  });

  it('are answered once, and results of an earlier session are told in words', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), withCalls('resp_1', 'completed', functionCall('call_1')));
    line.session.sendToolResult('call_1', result('1', false));
    line.session.sendToolResult('call_1', result('2', false));
    line.session.sendToolResult('call_old', result('{"eta":3}'));
    await line.peer.settle();
    expect(warnings(line)).toEqual(['tool_answered_twice']);
    expect(sent(line)).toEqual(['conversation.item.create', 'conversation.item.create', 'response.create']);
    expect(line.peer.all('conversation.item.create')[1]?.['item']).toMatchObject({
      type: 'message',
      role: 'system',
    });
    expect(JSON.stringify(line.peer.received)).toContain('call_old');
  });
});

describe('the caller cutting in', () => {
  const spokenOver = async (...more: Message[]): Promise<Line> => {
    const line = await open();
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_1', 1_600), ...more);
    return line;
  };

  it('truncates what was heard in part, never beyond what was received, and leaves the cancelling to the server', async () => {
    const line = await spokenOver(delta('resp_1', 'item_2', 800, 1), speechStarted);
    line.session.interrupt([{ itemId: 'item_1', playedMs: 99_999.7, receivedMs: 200 }]);
    await line.peer.settle();
    expect(line.peer.received.slice(1)).toEqual([
      {
        event_id: expect.stringMatching(/^pc_truncate_/),
        type: 'conversation.item.truncate',
        item_id: 'item_1',
        content_index: 0,
        audio_end_ms: 200,
      },
    ]);
  });

  it('deletes what was not heard, keeps what was heard to its end, and does neither twice', async () => {
    const line = await spokenOver(
      audioDone('resp_1', 'item_1'),
      delta('resp_1', 'item_2', 1_600, 1),
      audioDone('resp_1', 'item_2', 1),
      done('resp_1'),
      created('resp_2'),
      delta('resp_2', 'item_3', 800),
      speechStarted,
    );
    const heard = [
      { itemId: 'item_1', playedMs: 200, receivedMs: 200 },
      { itemId: 'item_2', playedMs: 120, receivedMs: 200 },
      { itemId: 'item_3', playedMs: 0, receivedMs: 100 },
      { itemId: 'item_other', playedMs: 5, receivedMs: 100 },
    ];
    line.session.interrupt(heard);
    line.session.interrupt(heard);
    await line.peer.settle();
    expect(line.peer.received.slice(1)).toMatchObject([
      { type: 'conversation.item.truncate', item_id: 'item_2', audio_end_ms: 120 },
      { type: 'conversation.item.delete', item_id: 'item_3' },
    ]);
  });

  it('drops what still comes of the response, and ends its words where they were', async () => {
    const words = (text: string, type: 'delta' | 'done'): Message => ({
      type: `response.output_audio_transcript.${type}`,
      response_id: 'resp_1',
      item_id: 'item_1',
      [type === 'delta' ? 'delta' : 'transcript']: text,
    });
    const line = await spokenOver(words('One ', 'delta'), speechStarted);
    const before = line.events.length;
    line.session.interrupt([{ itemId: 'item_1', playedMs: 20, receivedMs: 200 }]);
    await line.peer.tell(
      delta('resp_1', 'item_1', FRAME),
      words('two', 'delta'),
      audioDone('resp_1', 'item_1'),
      words('One two', 'done'),
      done('resp_1', 'cancelled', { status_details: { reason: 'turn_detected' } }),
    );
    expect(line.events.slice(before)).toEqual([
      { type: 'transcript', role: 'assistant', itemId: 'item_1', text: 'One ', final: true },
      { type: 'responseDone', responseId: 'resp_1', status: 'cancelled', reason: 'turn_detected' },
    ]);
  });

  it('deletes messages that began only after the cut', async () => {
    const line = await spokenOver(speechStarted);
    line.session.interrupt([{ itemId: 'item_1', playedMs: 20, receivedMs: 200 }]);
    await line.peer.tell(delta('resp_1', 'item_9', FRAME, 1), done('resp_1', 'cancelled'));
    expect(line.peer.all('conversation.item.delete')).toMatchObject([{ item_id: 'item_9' }]);
  });

  it('cancels by name when no speech was noticed by the server', async () => {
    const line = await spokenOver();
    line.session.interrupt([{ itemId: 'item_1', playedMs: 20, receivedMs: 200 }]);
    line.session.interrupt([{ itemId: 'item_1', playedMs: 20, receivedMs: 200 }]);
    await line.peer.settle();
    expect(line.peer.received.slice(1)).toMatchObject([
      { type: 'response.cancel', response_id: 'resp_1' },
      { type: 'conversation.item.truncate', audio_end_ms: 20 },
    ]);
  });

  it('cancels by name when the speech had begun before the response', async () => {
    const line = await open();
    await line.peer.tell(speechStarted, created('resp_1'));
    line.session.interrupt([]);
    await line.peer.settle();
    expect(line.peer.all('response.cancel')).toMatchObject([{ response_id: 'resp_1' }]);
  });

  it.each([
    [{ audio: { input: { turn_detection: { interrupt_response: false } } } }],
    [{ audio: { input: { turn_detection: null } } }],
  ])('cancels by name when the server does not interrupt by itself: %j', async (overrides) => {
    const line = await open({ overrides });
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_1', 1_600), speechStarted);
    line.session.interrupt([{ itemId: 'item_1', playedMs: 0, receivedMs: 200 }]);
    await line.peer.settle();
    expect(sent(line)).toEqual(['response.cancel', 'conversation.item.delete']);
  });

  it('gives up a response that was asked for but not created yet, when it shows up', async () => {
    const line = await open();
    line.session.say('hello');
    const asked = await line.peer.next('response.create');
    line.session.interrupt([]);
    await line.peer.tell(created('resp_1', asked['event_id']), delta('resp_1', 'item_1', FRAME));
    expect(line.peer.all('response.cancel')).toMatchObject([{ response_id: 'resp_1' }]);
    await line.peer.tell(done('resp_1', 'cancelled', { status_details: { reason: 'client_cancelled' } }));
    expect(line.events).toEqual([]);
    expect(line.peer.all('conversation.item.delete')).toMatchObject([{ item_id: 'item_1' }]);
    line.session.say('again');
    await line.peer.next('response.create');
  });

  it('answers the calls of a response that nobody wanted any more, without running them', async () => {
    const line = await open();
    line.session.say('hello');
    const asked = await line.peer.next('response.create');
    line.session.interrupt([]);
    await line.peer.tell(
      created('resp_1', asked['event_id']),
      done('resp_1', 'completed', { output: [functionCall('call_1')] }),
    );
    expect(line.of('toolCall')).toEqual([]);
    expect(line.peer.all('conversation.item.create')).toMatchObject([
      { item: { type: 'function_call_output', call_id: 'call_1' } },
    ]);
  });

  it('tells that the server cut its speech off by itself', async () => {
    const line = await spokenOver(
      done('resp_1', 'cancelled', { status_details: { reason: 'turn_detected' } }),
    );
    expect(line.events.slice(-3).map(({ type }) => type)).toEqual([
      'audioDone',
      'interrupted',
      'responseDone',
    ]);
  });

  it('swallows that there was nothing to cancel, and makes a warning of a correction that is refused', async () => {
    const line = await spokenOver(speechStarted);
    const before = line.events.length;
    line.session.interrupt([{ itemId: 'item_1', playedMs: 20, receivedMs: 200 }]);
    const truncate = await line.peer.next('conversation.item.truncate');
    await line.peer.tell(
      error('response_cancel_not_active'),
      error('invalid_value', { event_id: truncate['event_id'], message: 'already shorter than 20ms' }),
      error('input_audio_buffer_commit_empty'),
    );
    expect(types(line).slice(before)).toEqual(['warning', 'warning']);
    expect(warnings(line)).toEqual(['invalid_value', 'input_audio_buffer_commit_empty']);
  });
});

describe('what waits to be said', () => {
  it.each([
    [false, 0],
    [true, 1],
  ])('is dropped when the caller cuts in, unless it insists: %s', async (insist, requests) => {
    const line = await open();
    await line.peer.tell(created('resp_1'));
    line.session.say('One moment, please.', insist);
    line.session.interrupt([]);
    await line.peer.tell(done('resp_1', 'cancelled'));
    expect(line.peer.all('response.create')).toHaveLength(requests);
  });
});
