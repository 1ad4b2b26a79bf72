// What a server and a location are once the configuration has been read: plain, typed, frozen; no nginx syntax.

export type {
  ErrorPage,
  Handler,
  HeaderFilter,
  LimitExcept,
  LocationFinder,
  LocationSettings,
  ServerSettings,
  Text,
} from './exchange.ts';
