; Where Keyfob goes: where it is, else %LOCALAPPDATA%\Programs\Keyfob, else a folder without spaces.
;
; AWS tools split the line that names `keyfob.exe` in five ways, so nothing but PLAIN letters may be in its path. Where the person's
; own folder has others ("C:\Users\Ada Lovelace"), it is C:\Keyfob-SID, made in one step with an access list of this person, the
; administrators and the system: whoever else may make folders there can neither change it nor have made it before us.
; Why not 8.3 names: docs/decisions/2026-11-22-installed-on-windows.md.

!define USUAL "$LOCALAPPDATA\Programs\Keyfob"
!define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:=\-"

Function ChoosePlace
  ; Whoever starts us has said where.
  ${If} $INSTDIR != "${USUAL}"
    Return
  ${EndIf}
  ${If} $Before != ""
  ${AndIf} ${FileExists} "$Before\uninstall.exe"
    StrCpy $INSTDIR $Before
    Return
  ${EndIf}
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/PLAIN" $1
  ${IfNot} ${Errors}
    StrCpy $0 -1
  ${Else}
    System::Call 'shlwapi::StrSpnW(w "$INSTDIR", w "${PLAIN}") i .r0'
  ${EndIf}
  StrLen $1 $INSTDIR
  ${If} $0 <> $1
    Call MakePlainFolder
  ${EndIf}
FunctionEnd

; What is installed is removed again: never in the midst of somebody's other files. Ours is a folder where we are, or have begun to be.
Function RefuseFolderOfOthers
  ${If} $INSTDIR == "${USUAL}"
  ${OrIf} $INSTDIR == $Before
    Return
  ${EndIf}
  ${If} ${FileExists} "$INSTDIR\uninstall.exe"
  ${AndIf} ${FileExists} "$INSTDIR\keyfobd.exe"
    Return
  ${EndIf}
  ${If} ${FileExists} "$INSTDIR\fresh\keyfob.exe"
  ${OrIf} ${FileExists} "$INSTDIR\fresh\uninstall.exe"
    Return
  ${EndIf}
  ${DirState} "$INSTDIR" $0
  ${If} $0 = 1
    MessageBox MB_OK|MB_ICONEXCLAMATION "$INSTDIR has other files in it. Name a folder that is empty, or a new one: /D=$INSTDIR\Keyfob" /SD IDOK
    SetErrorLevel 2
    Quit
  ${EndIf}
FunctionEnd

; Sets $INSTDIR where that folder can be made, or is ours.
Function MakePlainFolder
  ; TOKEN_QUERY, TokenUser.
  System::Call 'advapi32::OpenProcessToken(p -1, i 8, *p .r1) i .r0'
  System::Call 'kernel32::GlobalAlloc(i 0x40, p 256) p .r2'
  System::Call 'advapi32::GetTokenInformation(p r1, i 1, p r2, i 256, *i .r3) i .r0'
  System::Call 'kernel32::CloseHandle(p r1)'
  ${If} $0 = 0
    Return
  ${EndIf}
  System::Call '*$2(p .r4)'
  System::Call 'advapi32::ConvertSidToStringSidW(p r4, *p .r5) i .r0'
  System::Call 'kernel32::lstrcpyW(w .r6, p r5) p .r0'
  System::Call 'kernel32::LocalFree(p r5)'
  StrCpy $R0 $WINDIR 3
  StrCpy $R0 "$R0Keyfob-$6"

  StrCpy $R1 "O:$6D:P(A;OICI;FA;;;$6)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
  System::Call 'advapi32::ConvertStringSecurityDescriptorToSecurityDescriptorW(w R1, i 1, *p .r7, p 0) i .r0'
  ${If} $0 = 0
    Return
  ${EndIf}
  ; SECURITY_ATTRIBUTES
  System::Call '*(i 24, i 0, p r7, i 0, i 0) p .r8'
  System::Call 'kernel32::CreateDirectoryW(w R0, p r8) i .r0'
  ${If} $0 = 0
    ; There already: ours alone, and nobody can give a folder to somebody else. SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION.
    System::Call 'advapi32::GetNamedSecurityInfoW(w R0, i 1, i 1, *p .r1, p 0, p 0, p 0, *p .r3) i .r0'
    ${If} $0 <> 0
      Return
    ${EndIf}
    System::Call 'advapi32::EqualSid(p r1, p r4) i .r0'
    ${If} $0 = 0
      Return
    ${EndIf}
  ${EndIf}
  StrCpy $INSTDIR $R0
FunctionEnd
