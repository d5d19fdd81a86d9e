/* user.c - takes the address of a function that an ifunc resolver chooses, which
 * the loader must know when it relocates this library. */
int answer(void);
static int (*volatile address)(void) = answer;
int ask(void) {
    return address();
}
