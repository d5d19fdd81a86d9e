#include "textflag.h"

// func currentG() unsafe.Pointer - the runtime's record of this goroutine.
TEXT ·currentG(SB), NOSPLIT, $0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET
