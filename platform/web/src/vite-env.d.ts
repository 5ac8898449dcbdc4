/// <reference types="vite/client" />
declare const __webpack_nonce__: string | undefined;
