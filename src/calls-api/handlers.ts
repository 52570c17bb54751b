import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { CallDesk } from '../call-desk.ts';
import type { CallRecord } from '../call-records.ts';
import type { ControlResult } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { PlaceOrder } from '../placed-calls.ts';
import { EventStream } from './event-stream.ts';
import type { CallOperation } from './operations.ts';
import { PlacedOnce } from './placed-once.ts';
import { readInput, withNumbers } from './read.ts';
import { controlReply, noConversation, problem, type Reply, unknownCall } from './replies.ts';
import { callAnswer, EventsQuery, ListQuery, REQUESTS } from './shapes.ts';

export interface HandlersDeps {
  readonly desk: CallDesk;
  readonly clock: Clock;
  /** For orders that say nothing about it. */
  readonly maxCallMs: number;
}

/** Answers one request, or `undefined` when it was answered on the way. May throw or reject with a BridgeError. */
export type Handler = (request: Request, response: Response) => Reply | undefined | Promise<Reply>;

const KEY = /^[\x21-\x7e]{1,200}$/;
const EVENT_ID = /^\d{1,15}$/;

/** What is done for each operation on calls. */
export function createHandlers(deps: HandlersDeps): Readonly<Record<CallOperation, Handler>> {
  const { desk, clock } = deps;
  return {
    placeCall: placing(deps),
    listCalls: (request) => {
      const { status, limit } = readInput(ListQuery, 'the query', withNumbers(request.query));
      const wanted = desk.records
        .list()
        .filter((record) => status === 'all' || record.isOver === (status === 'ended'));
      return {
        status: 200,
        body: { calls: wanted.slice(0, limit).map((record) => callAnswer(record.view)) },
      };
    },
    showCall: (request) => {
      const record = recordOf(desk, request);
      return record === undefined ? unknownCall() : { status: 200, body: callAnswer(record.view) };
    },
    followCall: (request, response) => {
      const record = recordOf(desk, request);
      if (record === undefined) return unknownCall();
      const { after } = readInput(EventsQuery, 'the query', withNumbers(request.query));
      const stream = new EventStream(clock, record, response);
      stream.start(lastEventId(request) ?? after, request.method === 'HEAD');
      return undefined;
    },
    hangUp: async (request) => {
      const record = recordOf(desk, request);
      if (record === undefined) return unknownCall();
      if (!record.isOver && record.ref === undefined) {
        return problem(409, 'NOT_READY', 'the carrier has not taken the order yet', { retry: true });
      }
      return controlReply(await desk.hangUp(record), 202);
    },
    transfer: controlling(desk, REQUESTS.TransferCall, 202, (record, { ringSeconds, ...body }) =>
      desk.transfer(record, {
        to: body.to,
        callerId: body.callerId,
        ringS: ringSeconds,
        announce: body.announce,
        language: body.language,
      }),
    ),
    sendDigits: controlling(desk, REQUESTS.SendDigits, 202, (record, { digits }) =>
      desk.sendDigits(record, digits),
    ),
    startRecording: controlling(desk, undefined, 200, (record) => desk.record(record, true)),
    stopRecording: controlling(desk, undefined, 200, (record) => desk.record(record, false)),
  };
}

function placing({ desk, clock, maxCallMs }: HandlersDeps): Handler {
  const once = new PlacedOnce(clock);
  return async (request) => {
    const order = readOrder(request.body, maxCallMs);
    const key = idempotencyKey(request);
    if (key === undefined) return placed((await desk.place(order)).view, false);
    const result = await once.place(key, order, () => desk.place(order));
    if (result.status === 'placed') return placed(result.view, result.repeated);
    return problem(
      422,
      'KEY_REUSED',
      'Idempotency-Key: found one that belongs to another order, wanted a new one',
    );
  };
}

function readOrder(body: unknown, maxCallMs: number): PlaceOrder {
  const order = readInput(REQUESTS.PlaceCall, 'the body', body);
  const { carrier, to, from, ringSeconds, machineDetection } = order;
  const longestS = Math.ceil(maxCallMs / 1000);
  return {
    carrier,
    to,
    from,
    ringS: ringSeconds,
    maxS: Math.min(order.maxSeconds ?? longestS, longestS),
    machine: machineDetection === 'off' ? { mode: 'off' } : machineDetection,
    agent: order.agent,
    variables: order.variables,
    recording: order.recording,
  };
}

function placed(view: CallRecord['view'], repeated: boolean): Reply {
  const replayed = repeated ? { 'idempotent-replayed': 'true' } : {};
  return { status: 201, body: callAnswer(view), headers: { location: `/calls/${view.id}`, ...replayed } };
}

function idempotencyKey(request: Request): string | undefined {
  const key = request.get('idempotency-key');
  if (key === undefined || KEY.test(key)) return key;
  throw new BridgeError(
    'BAD_INPUT',
    `Idempotency-Key: found text of ${key.length} characters, wanted 1 to 200 printable ones without spaces`,
  );
}

function lastEventId(request: Request): number | undefined {
  const id = request.get('last-event-id');
  if (id === undefined || id === '') return undefined;
  if (EVENT_ID.test(id)) return Number(id);
  throw new BridgeError(
    'BAD_INPUT',
    `Last-Event-ID: found text of ${id.length} characters, wanted the number of an event`,
  );
}

/** For what can be done to a call that the agent has. */
function controlling<T extends z.ZodType = z.ZodUndefined>(
  desk: CallDesk,
  schema: T | undefined,
  okStatus: 200 | 202,
  work: (record: CallRecord, body: z.output<T>) => Promise<ControlResult>,
): Handler {
  return async (request) => {
    const record = recordOf(desk, request);
    if (record === undefined) return unknownCall();
    const body = schema === undefined ? undefined : readInput(schema, 'the body', request.body);
    return noConversation(record) ?? controlReply(await work(record, body as z.output<T>), okStatus);
  };
}

function recordOf(desk: CallDesk, request: Request): CallRecord | undefined {
  const id = request.params['id'];
  return typeof id === 'string' ? desk.records.get(id) : undefined;
}
