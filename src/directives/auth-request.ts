// auth_request: another location, or the server behind it, says whether a client may pass.
// https://nginx.org/en/docs/http/ngx_http_auth_request_module.html

import { directives } from '../config/directive.ts';
import { template, text, variableName } from '../config/values.ts';
import type { Exchange, Text } from '../exchange/exchange.ts';
import { askSubrequest } from '../exchange/subrequest.ts';
import { ALLOWED, type Verdict } from '../exchange/verdict.ts';
import type { Headers } from '../http1/headers.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location'] as const;

export const authRequest = nginxModule('http_auth_request', {
  nginx: 'optional',
  doc: 'https://nginx.org/en/docs/http/ngx_http_auth_request_module.html',
  directives: directives({
    auth_request: {
      in: EVERYWHERE,
      args: [text('uri')],
      doc: 'Asks this URI, as a GET without a body, whether the client may pass: 2xx lets it in, 401 and 403 do not, anything else is a 500. `off`: nobody is asked.',
      differs: 'A request that wants to be upgraded is asked about as a plain GET.',
    },
    auth_request_set: {
      in: EVERYWHERE,
      args: [variableName('variable'), template('value')],
      many: true,
      doc: 'Gives a variable a value once that answer is there; the value may have variables of it, such as `$upstream_http_x_user`.',
    },
  }),
  location({ auth_request: uri, auth_request_set: written }, { access, workshop }) {
    const assignments = written.map((one) => assignment(one, workshop));
    if (uri === undefined || uri === 'off') return;
    access.push((exchange) => askSubrequest(exchange, uri, (answered) => judge(exchange, answered, assignments)));
  },
});

type WrittenAssignment = {
  readonly variable: string;
  readonly value: Parameters<Workshop['text']>[0];
  readonly at: Parameters<Workshop['warn']>[1];
};

interface Assignment {
  readonly set: (exchange: Exchange, value: string) => void;
  readonly value: Text;
}

function assignment({ variable, value, at }: WrittenAssignment, { variables, text: compile }: Workshop): Assignment {
  return { set: variables.setter(variable, () => undefined, at), value: compile(value) };
}

function judge(exchange: Exchange, answered: Exchange, assignments: readonly Assignment[]): Verdict {
  for (const { set, value } of assignments) set(exchange, value(answered));
  const { status } = answered;
  if (status >= 200 && status < 300) return ALLOWED;
  if (status === 401) passChallenge(answered, exchange.answer);
  if (status === 401 || status === 403) return status;
  exchange.log('error', `auth request unexpected status: ${status}`);
  return 500;
}

const CHALLENGE = 'www-authenticate';

/** What the answer says of it, or the peer did where that was hidden. */
function passChallenge({ answer, upstreamHead }: Exchange, to: Headers): void {
  const from = answer.has(CHALLENGE) ? answer : upstreamHead?.headers;
  if (from === undefined) return;
  for (let i = 0; i < from.length; i++) if (from.lowerNameAt(i) === CHALLENGE) to.addFrom(from, i);
}
