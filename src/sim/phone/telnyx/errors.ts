import type { RestReply } from '../carrier-sim.ts';

/** What is wrong with one member of a request: Telnyx's code, title, detail, and where it is. */
export interface Fault {
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly pointer?: string;
}

/** Faults that are the same for every command. */
export const FAULTS = {
  unauthorized: {
    code: '10009',
    title: 'Authentication failed',
    detail: 'The required authentication headers were either invalid or not included in the request.',
  },
  notFound: {
    code: '10005',
    title: 'Resource not found',
    detail: 'The requested resource or URL could not be found.',
  },
  invalidCall: {
    code: '90015',
    title: 'Invalid Call Control ID',
    detail: 'The call_control_id provided was not valid.',
    pointer: '/call_control_id',
  },
  ended: {
    code: '90018',
    title: 'Call has already ended',
    detail: "This call is no longer active and can't receive commands.",
  },
  notAnswered: {
    code: '90034',
    title: 'Call not answered yet',
    detail: "This call can't receive this command because it has not been answered yet.",
  },
  streaming: {
    code: '90045',
    title: 'Media Streaming is used',
    detail: "This command can't be issued when media streaming is used.",
  },
  badRequest: {
    code: '10015',
    title: 'Bad Request',
    detail: 'The request failed because it was not well-formed.',
  },
} as const satisfies Record<string, Fault>;

/** A command that the call is in no state for. The code is Telnyx's for all that has none of its own. */
export function cannot(detail: string): Fault {
  return { code: '90033', title: 'Unable to execute command', detail };
}

/** An answer with these faults. */
export function refuse(status: number, ...faults: readonly Fault[]): RestReply {
  return {
    status,
    body: {
      errors: faults.map(({ pointer, ...error }) =>
        pointer === undefined ? error : { ...error, source: { pointer } },
      ),
    },
  };
}

/** Telnyx's usual answer of this status, for the faults of the REST interface. */
export function usualFault(status: number): RestReply {
  switch (status) {
    case 400:
      return refuse(400, FAULTS.badRequest);
    case 404:
      return refuse(404, FAULTS.notFound);
    case 422:
      return refuse(422, FAULTS.ended);
    case 429: {
      const detail = 'You have exceeded the maximum number of allowed requests.';
      return refuse(429, { code: '10011', title: 'Too many requests', detail });
    }
    default:
      return refuse(status, {
        code: '10007',
        title: 'Unexpected error',
        detail: 'An unexpected error occurred.',
      });
  }
}
