// auth_basic and auth_basic_user_file: clients that must name themselves, with a password.
// https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html

import { directives } from '../config/directive.ts';
import { byteString } from '../config/source.ts';
import type { Template } from '../config/template.ts';
import { template } from '../config/values.ts';
import type { Text } from '../exchange/exchange.ts';
import { DECLINED } from '../exchange/verdict.ts';
import { authBasic as judge } from '../serve/auth-basic.ts';
import type { Workshop } from './draft.ts';
import { nginxModule } from './module.ts';

const EVERYWHERE = ['http', 'server', 'location', 'limit_except'] as const;

export const authBasic = nginxModule('http_auth_basic', {
  nginx: 'default',
  doc: 'https://nginx.org/en/docs/http/ngx_http_auth_basic_module.html',
  directives: directives({
    auth_basic: {
      in: EVERYWHERE,
      args: [template('string')],
      doc: 'Asks for a name and a password, with this text as the realm; variables are allowed. `off` asks for none.',
    },
    auth_basic_user_file: {
      in: EVERYWHERE,
      args: [template('file')],
      doc: 'The file with lines `name:password`: crypt(3) with DES, `$1$`, `$5$`, `$6$`, `$2a$`, `$2b$`, `$2y$`; `$apr1$`, `{PLAIN}`, `{SHA}`, `{SSHA}`. A change of it holds at once; relative to the configuration; variables are allowed.',
      differs: 'yescrypt (`$y$`) is not there: such a password never fits.',
    },
  }),
  location({ auth_basic: realm, auth_basic_user_file: file }, draft) {
    if (realm === undefined || file === undefined || realm.constant === 'off') return;
    const { workshop } = draft;
    const realmText = workshop.text(realm);
    const path = pathText(file, workshop);
    draft.access.push((exchange) => {
      const said = realmText(exchange);
      return said === 'off' ? DECLINED : judge(exchange, said, path(exchange));
    });
  },
});

function pathText(file: Template, workshop: Workshop): Text {
  if (file.constant !== undefined) {
    const path = byteString(workshop.fromConfig(file.constant));
    return () => path;
  }
  const text = workshop.text(file);
  const folder = byteString(workshop.fromConfig(''));
  return (exchange) => {
    const path = text(exchange);
    return path.startsWith('/') ? path : folder + path;
  };
}
