import { describe, expect, it } from 'vitest';
import { connected, silence, speech } from './support/nova-client.ts';

describe('the AWS SDK with the simulator', () => {
  it('talks both ways and ends in order', async () => {
    await using place = await connected({
      keepAudio: true,
      respond: () => ({ transcript: 'Good day. How can I help?', audioMs: 1_000 }),
      hear: () => ({ transcript: 'hello there' }),
    });
    const { client, connection } = place;
    client.begin();
    client.say(Buffer.concat([silence(200), speech(600), silence(400)]));
    await client.next('contentEnd', ({ stopReason, type }) => stopReason === 'END_TURN' && type === 'TEXT');
    expect(client.audio()).toEqual(connection.sentAudio());
    expect(client.audio().length).toBe(16_000);
    client.finish();
    expect(await client.ended).toEqual({ error: undefined });
    expect(await connection.closed).toEqual({ code: 0, reason: 'the client ended the session' });
    expect(connection.receivedAudioMs).toBe(1_200);
  });
});
