; The entry of $INSTDIR in this user's PATH.
;
; The value may be longer than any string of NSIS (1,024 characters): it is read, changed and written in memory of our own, keeps
; its kind (with or without %VARIABLES% in it), and is not touched where it is neither kind of text.

; HKEY_CURRENT_USER as a pointer of 64 bits.
!define OUR_KEYS -2147483647
!define READ_AND_WRITE 3

; $0 the open key, $1 the kind, $3 memory of `;VALUE;`, $5 the value in it, $9 whether there is any. $8 whether the last `;` is ours.
!macro ReadPath
  StrCpy $3 0
  System::Call 'advapi32::RegCreateKeyExW(p ${OUR_KEYS}, w "Environment", i 0, p 0, i 0, i ${READ_AND_WRITE}, p 0, *p .r0, p 0) i .r9'
  ${If} $9 = 0
    System::Call 'advapi32::RegQueryValueExW(p r0, w "Path", p 0, *i .r1, p 0, *i .r2) i .r9'
    ${If} $9 = 2
      ; None yet: an expandable one (REG_EXPAND_SZ).
      StrCpy $1 2
      StrCpy $2 0
      StrCpy $9 0
    ${ElseIf} $1 <> 1
    ${AndIf} $1 <> 2
      StrCpy $9 13
    ${EndIf}
  ${EndIf}
  ${If} $9 = 0
    StrLen $4 "$INSTDIR"
    IntOp $4 $4 + 8
    IntOp $4 $4 * 2
    IntOp $4 $4 + $2
    ; Zeros: an end that the value may lack.
    System::Call 'kernel32::GlobalAlloc(i 0x40, p r4) p .r3'
    System::Call 'kernel32::lstrcpyW(p r3, w ";")'
    IntPtrOp $5 $3 + 2
    ${If} $2 > 0
      System::Call 'advapi32::RegQueryValueExW(p r0, w "Path", p 0, p 0, p r5, *i r2) i .r9'
    ${EndIf}
    StrCpy $8 0
    System::Call 'kernel32::lstrlenW(p r5) i .r4'
    ${If} $4 > 0
      IntOp $6 $4 * 2
      IntPtrOp $6 $3 + $6
      System::Call '*$6(&i2 .r7)'
      ${If} $7 <> 59
        System::Call 'kernel32::lstrcatW(p r3, w ";")'
        StrCpy $8 1
      ${EndIf}
    ${EndIf}
  ${EndIf}
!macroend

!macro WritePath
  System::Call 'kernel32::lstrlenW(p r5) i .r4'
  ${If} $4 = 0
    System::Call 'advapi32::RegDeleteValueW(p r0, w "Path")'
  ${Else}
    IntOp $4 $4 + 1
    IntOp $4 $4 * 2
    System::Call 'advapi32::RegSetValueExW(p r0, w "Path", i 0, i r1, p r5, i r4) i .r9'
  ${EndIf}
  ; New programs see it without a new sign-in.
  SendMessage ${HWND_BROADCAST} ${WM_SETTINGCHANGE} 0 "STR:Environment" /TIMEOUT=1000
!macroend

!macro ClosePath
  ${If} $3 P<> 0
    System::Call 'kernel32::GlobalFree(p r3)'
  ${EndIf}
  System::Call 'advapi32::RegCloseKey(p r0)'
!macroend

Function AddToPath
  !insertmacro ReadPath
  ${If} $9 = 0
    System::Call 'shlwapi::StrStrIW(p r3, w ";$INSTDIR;") p .r6'
    ${If} $6 P= 0
      System::Call 'kernel32::lstrcatW(p r5, w "$INSTDIR")'
      !insertmacro WritePath
    ${EndIf}
  ${EndIf}
  !insertmacro ClosePath
FunctionEnd

Function un.RemoveFromPath
  !insertmacro ReadPath
  ${If} $9 = 0
    System::Call 'shlwapi::StrStrIW(p r3, w ";$INSTDIR;") p .r6'
    ${If} $6 P<> 0
      ; What comes from the second `;` on goes to the place of the first.
      StrLen $4 "$INSTDIR"
      IntOp $4 $4 + 1
      IntOp $4 $4 * 2
      IntPtrOp $7 $6 + $4
      System::Call 'kernel32::lstrlenW(p r7) i .r4'
      IntOp $4 $4 + 1
      IntOp $4 $4 * 2
      System::Call 'ntdll::RtlMoveMemory(p r6, p r7, p r4)'
      System::Call 'kernel32::lstrlenW(p r5) i .r4'
      ${If} $8 = 1
      ${AndIf} $4 > 0
        IntOp $4 $4 * 2
        IntPtrOp $7 $3 + $4
        System::Call '*$7(&i2 0)'
      ${EndIf}
      !insertmacro WritePath
    ${EndIf}
  ${EndIf}
  !insertmacro ClosePath
FunctionEnd
